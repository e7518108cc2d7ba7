"""Methods that train prompts: what the model reads, and that outputs belong to the text alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from harness.core.cell import Cell
from harness.core.levers import Levers
from harness.costs.dry_run import dry_run
from harness.execution.cell_main import run_cell
from harness.models.blocks import lowest_trained_block
from harness.models.chunked_loss import token_losses, use_chunked_loss
from harness.models.heads import Classifier
from harness.training.decoding import Use
from harness.training.levers import use_levers
from harness.training.methods import adapt
from harness.training.rehearsal import rehearse
from tests.harness.costs.test_dry_run import backbone, probe
from tests.harness.training.test_peft_methods import entry, one_cell

WORDS, TOKENS = 60, 4
SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 32, "num_hidden_layers": 2,
    "vocab_size": WORDS, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "prompt_tuning": {"num_virtual_tokens": TOKENS},
    "multitask_prompt_tuning": {"num_virtual_tokens": TOKENS, "num_ranks": 2},
    "p_tuning": {"num_virtual_tokens": TOKENS, "encoder_hidden_size": 8},
    "prefix_tuning": {"num_virtual_tokens": TOKENS},
    "cartridge": {"num_virtual_tokens": TOKENS},
    "cpt": {"cpt_token_ids": [1, 2, 3, 4], "cpt_tokens_type_mask": [1, 2, 3, 4]},
    "adaption_prompt": {"adapter_len": TOKENS, "adapter_layers": 1},
}
BEFORE_TEXT = ("prompt_tuning", "multitask_prompt_tuning", "p_tuning", "prefix_tuning", "cartridge")
IN_INPUT = BEFORE_TEXT[:3]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def cell_of(name: str, causal: bool = False, **changes: Any) -> Cell:
    return one_cell(entry(name, **OPTIONS[name]), uses_lm_head=causal, **changes)


def encoder() -> Classifier:
    torch.manual_seed(0)
    return Classifier(BertModel(BertConfig(**SIZES), add_pooling_layer=False), 2)


def language_model() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2, use_cache=False))


def made(name: str, model: Any, causal: bool = False) -> Any:
    """The model with prompts away from zero."""
    adapted: Any = adapt(model, cell_of(name, causal)).model
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.3)
    return adapted.eval()


def texts() -> torch.Tensor:
    return torch.randint(1, WORDS, (2, 9), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", BEFORE_TEXT)
def test_a_classifier_pools_the_states_of_the_text(name: str) -> None:
    model, ids = made(name, encoder()), texts()
    whole, seen = torch.ones_like(ids), {}
    inner = model.encoder.base_model
    inner.register_forward_hook(lambda *call: seen.update(states=call[-1].last_hidden_state))
    with torch.no_grad():
        summary = model.summary(ids, whole)
    added = TOKENS if name in IN_INPUT else 0
    states = seen["states"]
    assert states.shape[1] == added + ids.shape[1]
    text = states[:, added:]
    torch.testing.assert_close(summary, text.mean(1) + text[:, 0])
    mask = whole.clone()
    mask[1, 5:] = 0
    with torch.no_grad():
        padded, alone = model.summary(ids, mask)[1], model.summary(ids[1:, :5], mask[1:, :5])[0]
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=0)
    assert not torch.allclose(padded, summary[1], atol=1e-3)


def test_segments_of_the_text_are_kept() -> None:
    model, ids = made("prompt_tuning", encoder()), texts()
    mask, kinds = torch.ones_like(ids), torch.zeros_like(ids)
    kinds[:, 5:] = 1
    with torch.no_grad():
        one, other = model.summary(ids, mask, kinds), model.summary(ids, mask, 0 * kinds)
    assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("name", ["prompt_tuning", "prefix_tuning"])
def test_the_same_tokens_are_scored_with_each_loss(name: str) -> None:
    ids = texts()
    found = []
    for chunked in (False, True):
        model = language_model()
        if chunked:
            assert use_chunked_loss(model)
        model = made(name, model, causal=True)
        model(input_ids=ids, labels=ids).loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        with torch.inference_mode():
            output = model(input_ids=ids, labels=ids)
        losses = output.losses if chunked else token_losses(output.logits, ids)[0]
        found.append((output.loss, losses, gradients))
    (full, by_token, slopes), (loss, losses, others) = found
    assert by_token.shape == losses.shape == (2, ids.shape[1] - 1)
    torch.testing.assert_close(losses, by_token, atol=1e-5, rtol=0)
    torch.testing.assert_close(loss, full, atol=1e-5, rtol=0)
    assert float(loss) == pytest.approx(float(losses.mean()), abs=1e-5)
    for one, other in zip(slopes, others, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", OPTIONS)
@torch.inference_mode()
def test_a_padded_batch_writes_what_each_text_alone_leads_to(name: str) -> None:
    model, ids = made(name, language_model(), causal=True), texts()
    sizes, width, count = (9, 5), 9, 4
    prompts, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, size in enumerate(sizes):
        prompts[row, width - size :], mask[row, width - size :] = ids[row, :size], 1
    settings = {"max_new_tokens": count, "do_sample": False, "eos_token_id": None}
    written = model.generate(
        input_ids=prompts, attention_mask=mask, use_cache=True, pad_token_id=0, **settings
    )
    assert torch.equal(written[:, :width], prompts)
    for row, size in enumerate(sizes):
        text = ids[row : row + 1, :size]
        for _ in range(count):
            following = model(input_ids=text).logits[:, -1].argmax(-1, keepdim=True)
            text = torch.cat([text, following], 1)
        assert written[row, width:].tolist() == text[0, size:].tolist()


@pytest.mark.parametrize("name", ["prompt_tuning", "prefix_tuning", "adaption_prompt"])
@torch.inference_mode()
def test_a_probe_decodes_with_the_prompt_in_the_cache(name: str) -> None:
    model, ids = made(name, language_model(), causal=True), texts()
    use = Use(model, cell_of(name, causal=True, decode=2), ids)
    first = model(input_ids=ids).logits[:, -1]
    torch.testing.assert_close(use.prefill(), first, atol=1e-5, rtol=0)
    ids = torch.cat([ids, first.argmax(-1, keepdim=True)], 1)
    second = model(input_ids=ids).logits[:, -1]
    ids = torch.cat([ids, second.argmax(-1, keepdim=True)], 1)
    third = model(input_ids=ids).logits[:, -1]
    torch.testing.assert_close(use.decode(), third, atol=1e-5, rtol=0)


def test_what_is_trained_and_how_far_the_backward_pass_runs() -> None:
    trained = {}
    for name in OPTIONS:
        adapted = adapt(language_model(), cell_of(name, causal=True))
        model: Any = adapted.model
        assert (adapted.sites, adapted.links) == (None, None)
        trained[name] = sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert lowest_trained_block(model) == (1 if name == "adaption_prompt" else 0)
    width, heads = SIZES["hidden_size"], 2 * 32 // 4  # of keys and values
    one = TOKENS * width
    mlp = width * 8 + 8 + 8 * 8 + 8 + 8 * width + width
    assert trained == {
        "prompt_tuning": one,
        "multitask_prompt_tuning": one + 2 * TOKENS + 2 * width,
        "p_tuning": one + mlp,
        "prefix_tuning": TOKENS * 2 * 2 * heads,
        "cartridge": (TOKENS - 1) * 2 * 2 * heads,
        "cpt": one,
        "adaption_prompt": one + 1,
    }
    classifier = adapt(encoder(), cell_of("prompt_tuning")).model
    assert lowest_trained_block(classifier) == 0
    names = {n.split(".")[0] for n, p in classifier.named_parameters() if p.requires_grad}
    assert names == {"encoder", "classifier"}


@pytest.mark.parametrize(
    ("name", "causal"),
    [
        ("prefix_tuning", True),
        pytest.param("prompt_tuning", False, marks=pytest.mark.slow),
        pytest.param("p_tuning", True, marks=pytest.mark.slow),
    ],
)
def test_a_dry_run_equals_a_measurement(name: str, causal: bool, tmp_path: Path) -> None:
    arm = cell_of(name, causal)
    fields = ("density", "placement", "rank", "alpha", "target", "options")
    cell = probe(name, causal).model_copy(update={f: getattr(arm, f) for f in fields})
    folder = backbone(tmp_path, causal)
    result, predicted = run_cell(cell, folder), dry_run(cell, folder)
    assert result.ok, result.error
    assert result.cost
    assert result.timing
    assert result.model
    assert result.model.lowest_layer == 0
    parts = {part: getattr(result.cost, f"live_{part}_bytes") for part in predicted.train.parts}
    assert predicted.train.parts == parts
    numbers = 8 * TOKENS  # of the virtual tokens, which their embedding keeps
    assert (parts["saved_adapter"] > numbers) == (name == "p_tuning")
    assert predicted.eval.peak_bytes == result.cost.eval_live_peak_bytes
    assert predicted.train.work.flops == result.timing.train_flops
    assert predicted.trainable_params == result.model.trainable_params


def test_positions_are_enough_for_virtual_tokens_and_text() -> None:
    assert cell_of("prompt_tuning", decode=3).positions == TOKENS + 64 + 3
    assert cell_of("cpt", causal=True).virtual_tokens == 4
    assert cell_of("adaption_prompt").virtual_tokens == 0


def test_levers_that_would_lose_a_prompt() -> None:
    full, packing = Levers(checkpointing="full"), Levers(packing=True)
    for name, levers, reason in [
        ("prefix_tuning", full, "checkpointing: .* key-value cache"),
        ("prompt_tuning", full, None),
        ("prompt_tuning", packing, "packing: .* before a row"),
        ("adaption_prompt", packing, None),
    ]:
        cell = cell_of(name, causal=True, levers=levers)
        model = adapt(language_model(), cell).model
        if reason is None:
            use_levers(model, cell)
            continue
        with pytest.raises(ValueError, match=reason):
            use_levers(model, cell)


def test_a_prompt_that_leaves_nothing_to_score_is_refused() -> None:
    rehearse(language_model(), cell_of("cpt", causal=True))
    cell = one_cell(
        entry("cpt", cpt_token_ids=[1, 2], cpt_tokens_type_mask=[1, 2]), uses_lm_head=True
    )
    with pytest.raises(ValueError, match="loss of the first step is nan"):
        rehearse(language_model(), cell)
