"""Every method of the installed PEFT learns, is saved and loaded, or has a reason that holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import (
    PeftType,
    PolyConfig,
    ShadowConfig,
    TrainableTokensConfig,
    XLoraConfig,
    get_peft_model,
)
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch.nn.functional import pad

from harness.core.cell import Cell
from harness.core.levers import Levers
from harness.training.batches import random_batch
from harness.training.levers import micro_batches, packed, use_levers
from harness.training.methods import Adapted, adapt, adapter_of, is_head
from harness.training.peft_methods import REFUSED, peft_classes, peft_method, refused_lever
from harness.training.peft_wrap import adapted_modules
from tasks.lib.encoding import IGNORED
from tests.harness.training.test_peft_methods import decoder, encoder, entry, one_cell, steps

RUN = sorted({*peft_classes()} - {*REFUSED})
ON_DECODERS_ONLY = {
    "adaption_prompt": "Unsupported model type for adaption prompt: 'bert'",
    "cpt": "only supports task_type = CAUSAL_LM",
}
"""Methods that PEFT refuses on an encoder, with its words."""
RANDOM = (("micro_batch", "pvera"), ("packing", "pvera"))
"""PVeRA draws random numbers in training, one for each value: others in another batch."""

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def cell_of(name: str, writes: bool, **changes: Any) -> Cell:
    options = peft_method(name).must_set | ({"state_dropout": 0.0} if name == "ssmlora" else {})
    return one_cell(entry(name, **options), uses_lm_head=writes, batch_size=4, **changes)


def adapted(cell: Cell) -> Adapted:
    model = decoder() if cell.uses_lm_head else encoder()
    torch.manual_seed(1)
    return adapt(model, cell)


def batch(writes: bool) -> dict[str, torch.Tensor]:
    return random_batch(60, 4, 8, 0, writes)


@torch.no_grad()
def logits(model: Any, writes: bool) -> torch.Tensor:
    return model.eval()(**batch(writes)).logits


@torch.no_grad()
def loss(model: Any, inputs: dict[str, torch.Tensor]) -> float:
    return float(model.eval()(**inputs).loss)


def test_every_method_of_the_installed_release_is_covered() -> None:
    names = {kind.value.lower() for kind in PeftType} | {"ssmlora"}
    assert {*RUN, *REFUSED} == names
    assert len(PEFT_TYPE_TO_CONFIG_MAPPING) == len(names)


@pytest.mark.parametrize("writes", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("name", RUN)
def test_a_method_learns_is_saved_and_loaded(name: str, writes: bool, tmp_path: Path) -> None:
    cell = cell_of(name, writes)
    if not writes and name in ON_DECODERS_ONLY:
        with pytest.raises(ValueError, match=ON_DECODERS_ONLY[name]):
            adapted(cell)
        return
    trained = adapted(cell)
    model: Any = trained.model
    first = loss(model, batch(writes))
    moved = steps(trained, cell, 8)
    assert moved
    assert loss(model, batch(writes)) < first
    if peft_method(name).is_prompt:
        backbone = {n for n, _ in (decoder() if writes else encoder()).named_parameters()}
        assert {n for n in moved & backbone if not is_head(n)} == set()
    adapter_of(model).save_pretrained(tmp_path)
    other: Any = adapted(cell).model
    assert not torch.equal(logits(other, writes), logits(model, writes))
    adapter_of(other).load_adapter(tmp_path, "loaded")
    adapter_of(other).set_adapter("loaded")
    if adapter_of(other) is not other:  # the adapter is that of the encoder alone
        other.classifier.load_state_dict(model.classifier.state_dict())
    # AdaLoRA is saved without the ranks that it has pruned: its sums have fewer terms.
    near = 1e-5 if name == "adalora" else 0.0
    torch.testing.assert_close(logits(other, writes), logits(model, writes), rtol=0, atol=near)


def gradient(cell: Cell, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """The gradient of a training step with the levers of a cell, adapters away from zero."""
    model: Any = adapted(cell).model
    generator = torch.Generator().manual_seed(2)
    trained = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():
        for parameter in trained:
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    use_levers(model, cell)
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for part, share in micro_batches(inputs, cell):
        (model(**part).loss * share).backward()
    return torch.cat([p.grad.flatten() for p in trained if p.grad is not None])


LEVERS = {"checkpointing": "full", "micro_batch": 1, "packing": True}


@pytest.mark.parametrize("writes", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("name", RUN)
def test_a_lever_keeps_the_gradients_of_a_method_or_is_refused(name: str, writes: bool) -> None:
    if not writes and name in ON_DECODERS_ONLY:
        return
    inputs = batch(writes)
    if writes:
        short = {key: value[:, :4] for key, value in inputs.items()}
        inputs = {
            "input_ids": pad(short["input_ids"], (0, 4)),
            "labels": pad(short["labels"], (0, 4), value=IGNORED),
            "attention_mask": pad(torch.ones_like(short["labels"]), (0, 4)),
        }
    expected = gradient(cell_of(name, writes), inputs)
    assert expected.norm() > 0
    for lever, value in LEVERS.items():
        cell = cell_of(name, writes, levers=Levers(**{lever: value}))
        if reason := refused_lever(cell):
            assert reason.startswith(f"{lever}: {name} ")
            with pytest.raises(ValueError, match=reason):
                gradient(cell, inputs)
        elif (lever, writes) != ("packing", False) and (lever, name) not in RANDOM:
            found = gradient(cell, packed(inputs) if lever == "packing" else inputs)
            assert (found - expected).norm() < 1e-5 * expected.norm(), lever


def test_poly_needs_the_task_of_every_text() -> None:
    config = PolyConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], n_tasks=1)
    model = get_peft_model(decoder(), config)
    with pytest.raises(ValueError, match="task_ids should not be None"):
        model(**batch(True))
    assert model(**batch(True), task_ids=torch.zeros(4, dtype=torch.long)).loss.isfinite()
    assert "(task_ids)" in REFUSED["poly"]


def test_shadow_wraps_whole_blocks() -> None:
    described = ShadowConfig.__dataclass_fields__["target_modules"].metadata["help"]
    assert "whole blocks, not linear layers" in described
    assert "whole decoder blocks, not linear layers" in REFUSED["shadow"]
    config = ShadowConfig(task_type="CAUSAL_LM")
    assert adapted_modules(get_peft_model(decoder(), config)) == {
        "model.layers.0",
        "model.layers.1",
    }
    with pytest.raises(AttributeError, match="Unable to automatically locate"):
        get_peft_model(encoder(), ShadowConfig())


def test_trainable_tokens_trains_rows_of_the_embedding() -> None:
    config = TrainableTokensConfig(task_type="CAUSAL_LM", token_indices=[3, 4])
    model = get_peft_model(decoder(), config)
    assert adapted_modules(model) == {"model.embed_tokens"}
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 2 * 256
    assert "rows of the token embedding" in REFUSED["trainable_tokens"]


def test_xlora_has_nothing_to_train_without_trained_adapters() -> None:
    model = get_peft_model(decoder(), XLoraConfig(task_type="CAUSAL_LM", hidden_size=256))
    with pytest.raises(RuntimeError, match="does not require grad"):
        model(**batch(True)).loss.backward()
    assert "(adapters)" in REFUSED["xlora"]
