"""Every method of the installed PEFT runs as itself, or is refused by name before the sweep."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.execution.cell_main import run_cell
from harness.models.backbones import find_backbone
from harness.models.heads import Classifier
from harness.planning.arms import arms, check_method
from harness.planning.sweep import Method
from harness.training.batches import random_batch
from harness.training.loop import optimizer_of, train_step
from harness.training.methods import Adapted, adapt, after_step, task_loss_only
from harness.training.peft_methods import REFUSED, norm_layers, peft_classes, peft_method
from harness.training.rehearsal import rehearse
from ssmlora import candidate_sites, select_sites
from tests.harness.planning.test_plan import BASE

SHAPE: dict[str, Any] = {
    "hidden_size": 256,  # a multiple of every default block size and vector length
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "vocab_size": 60,
    "max_position_embeddings": 16,
}
RUN = [n for n in sorted(set(peft_classes()) - set(REFUSED)) if not peft_method(n).is_prompt]


def encoder() -> Classifier:
    torch.manual_seed(0)
    return Classifier(BertModel(BertConfig(**SHAPE), add_pooling_layer=False), 2)


def decoder() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=2, use_cache=False))


def entry(name: str, **settings: Any) -> Method:
    own = {k: v for k, v in settings.items() if k in Method.model_fields}
    options = {k: v for k, v in settings.items() if k not in Method.model_fields}
    return Method(type=name, options=options, **own)


def one_cell(method: Method, **changes: Any) -> Cell:
    check_method(method, "sweep.yaml: methods")
    (arm,) = arms(method)
    return Cell.model_validate(BASE.model_dump() | {"target": None, "lr": 1e-2} | arm | changes)


def steps(adapted: Adapted, cell: Cell, count: int = 2) -> set[str]:
    """Train; the names of the parameters that moved."""
    model: Any = adapted.model.train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = optimizer_of(model, cell)
    inputs = random_batch(60, 4, 8, 0, cell.uses_lm_head)
    hook = after_step(model)
    for step in range(1, count + 1):
        train_step(model, inputs, optimizer, trainable, cell, hook and (lambda at=step: hook(at)))
    return {
        name.removeprefix("base_model.model.")
        for name, p in model.named_parameters()
        if not torch.equal(p, before[name])
    }


@pytest.mark.parametrize("writes", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("name", RUN)
def test_a_method_trains_its_sites_and_the_head_alone(name: str, writes: bool) -> None:
    on_sites = name != "ln_tuning"
    method = entry(name, **({"density": 0.5} if on_sites else {}))
    cell = one_cell(method, uses_lm_head=writes)
    model = decoder() if writes else encoder()
    expected = norm_layers(model)
    if on_sites:
        expected = [site.name for site in select_sites(candidate_sites(model), 0.5)]
    adapted = adapt(model, cell)
    moved = steps(adapted, cell)
    assert adapted.sites == len(expected) == (2 if on_sites else 5)
    head = {name for name in moved if name.startswith("classifier.")}
    assert bool(head) != writes
    assert moved - head
    assert {n for n in moved - head if not n.startswith(tuple(f"{e}." for e in expected))} == set()
    # Every adapted module takes part; where they share parameters, the first one holds them.
    kinds = {at: any(n.startswith(f"{at}.") for n in moved) for at in expected}
    assert all(kinds.values()) or name in ("tinylora", "unilora"), kinds


@pytest.mark.parametrize("name", RUN)
def test_the_row_shows_the_rank_and_alpha_that_the_method_has(name: str) -> None:
    cell = one_cell(entry(name))
    adapted: Any = adapt(encoder(), cell)
    config, kind = adapted.model.peft_config["default"], peft_method(name)
    rank = getattr(config, kind.rank_field) if kind.rank_field else None
    assert cell.rank == (rank or None)
    assert cell.alpha == (getattr(config, kind.alpha_field) if kind.alpha_field else None)
    if name not in ("lora", "ssmlora"):
        default = kind.config(**({"total_step": 2} if name == "adalora" else {}))
        for field in ("r", "lora_alpha", "alpha"):
            assert getattr(config, field, None) == getattr(default, field, None)
    shown = "" if rank in (None, 0, 8) else f" r{rank}"
    assert cell.arm.replace(f" alpha={cell.alpha or 0:g}", "").endswith(
        f"{'' if name == 'ln_tuning' else ' 1'}{shown}"
    )


def test_ranks_that_are_known() -> None:
    ranks = {name: one_cell(entry(name)).rank for name in ("vera", "ia3", "oft", "adalora", "loha")}
    assert ranks == {"vera": 256, "ia3": None, "oft": None, "adalora": None, "loha": 8}
    assert one_cell(entry("vera", rank=16)).rank == 16
    oft: Any = adapt(encoder(), one_cell(entry("oft"))).model
    assert (oft.peft_config["default"].r, oft.peft_config["default"].oft_block_size) == (0, 32)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_run_is_refused_by_name(name: str) -> None:
    with pytest.raises(BadInput, match=f"^sweep.yaml: methods.*'{name}'"):
        check_method(entry(name), "sweep.yaml: methods")


@pytest.mark.parametrize(
    ("method", "key"),
    [
        (entry("ia3", rank=8), "rank"),
        (entry("ia3", alpha=8), "alpha"),
        (entry("adalora", rank=8), "rank"),
        (entry("vera", alpha=8), "alpha"),
        (entry("supertuning", alpha=8), "alpha"),
        (entry("ln_tuning", density=0.5), "density"),
        (entry("ln_tuning", placement="even"), "placement"),
        (entry("ln_tuning", target="attention"), "target"),
        (entry("ln_tuning", rank=8), "rank"),
        (entry("adalora", total_step=10), "total_step"),
        (entry("lora", init_lora_weights="eva"), "init_lora_weights"),
        (entry("lora", use_qalora=True), "use_qalora"),
        (entry("lora", target_parameters=["x"]), "target_parameters.* use target"),
        (entry("lora", r=4), "r.* use rank"),
        (entry("randlora", randlora_alpha=4), "randlora_alpha.* use alpha"),
        (entry("lora", target_modules=["query"]), "target_modules.* use target"),
        (entry("prompt_tuning"), "num_virtual_tokens: missing.*for example 8"),
        (entry("prompt_tuning", num_virtual_tokens=0), "num_virtual_tokens: expected 1 to 65,536"),
        (entry("prompt_tuning", num_virtual_tokens="8"), "num_virtual_tokens: .*remove the quotes"),
        (entry("p_tuning", num_virtual_tokens=8, density=0.5), "density: .*adapts no layers"),
        (entry("prefix_tuning", num_virtual_tokens=8, rank=8), "rank"),
        (entry("prefix_tuning", num_virtual_tokens=8, alpha=8), "alpha"),
        (entry("prefix_tuning", num_virtual_tokens=8, num_layers=2), "num_layers.*the backbone"),
        (entry("multitask_prompt_tuning", num_tasks=2), "num_tasks: .*one task"),
        (entry("cpt", num_virtual_tokens=8), "num_virtual_tokens: .*number of cpt_token_ids"),
        (entry("cpt"), r"cpt_token_ids: missing.*\[1, 2, 3, 4\]"),
        (entry("cpt", cpt_token_ids=[1, 2]), "cpt_tokens_type_mask: missing"),
        (entry("adaption_prompt", adapter_len=4), "adapter_layers: missing"),
        (
            entry("multitask_prompt_tuning", prompt_tuning_init="EXACT_SOURCE_TASK"),
            "prompt_tuning_init: .*trained before",
        ),
    ],
)
def test_a_key_without_a_meaning_is_refused(method: Method, key: str) -> None:
    with pytest.raises(BadInput, match=rf"^sweep.yaml: methods\.{key}"):
        check_method(method, "sweep.yaml: methods")


def test_adalora_moves_its_ranks_between_sites() -> None:
    cell = one_cell(entry("adalora", init_r=6, target_r=2), examples=24, batch_size=4, epochs=1)
    adapted = adapt(encoder(), cell)
    config = adapted.model.peft_config["default"]  # type: ignore[index,union-attr]
    assert config.total_step == 6
    steps(adapted, cell, 6)
    ranks = {
        name: int((p != 0).sum())
        for name, p in adapted.model.named_parameters()
        if "lora_E" in name
    }
    assert len(ranks) == adapted.sites == 4
    assert sum(ranks.values()) == 4 * 2


def test_training_calls_the_method_after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    minilm, called = find_backbone("minilm"), list[int]()

    def recorded(model: Any) -> Any:
        hook = after_step(model)
        assert hook is not None
        return lambda step: (called.append(step), hook(step))

    monkeypatch.setattr("harness.training.loop.after_step", recorded)
    sizes = {"examples": 12, "validation_examples": 8, "test_examples": 8, "validations": 1}
    cell = one_cell(entry("adalora"), length=32, batch_size=4, epochs=1, **sizes)
    assert run_cell(cell, minilm).ok
    assert called == [1, 2, 3]


def test_the_validation_loss_has_no_penalty() -> None:
    model: Any = adapt(encoder(), one_cell(entry("adalora"))).model.eval()
    inputs = random_batch(60, 2, 8, 0)
    plain = model.base_model.model(**inputs).loss
    assert model(**inputs).loss.item() > plain.item() + 0.1
    with task_loss_only(model):
        assert torch.equal(model(**inputs).loss, plain)
    assert model.peft_config["default"].orth_reg_weight == 0.5


def test_a_schedule_that_never_acts_is_refused() -> None:
    asa = {"use_asa": True, "init_warmup": 2, "final_warmup": 6, "mask_interval": 2}
    sizes = {"examples": 16, "batch_size": 4, "epochs": 1}
    steps(adapt(encoder(), cell := one_cell(entry("adamss", **asa), **sizes)), cell, 4)
    with pytest.raises(ValueError, match=r"use_asa .* init_warmup=5"):
        adapt(encoder(), one_cell(entry("adamss", **{**asa, "init_warmup": 5}), **sizes))


@pytest.mark.parametrize(("examples", "tfinal"), [(4, 0), (12, 2)])
def test_adalora_without_time_to_move_its_ranks_is_refused(examples: int, tfinal: int) -> None:
    sizes: dict[str, Any] = {"examples": examples, "batch_size": 4, "epochs": 1}
    with pytest.raises(ValueError, match="two training steps"):
        adapt(encoder(), one_cell(entry("adalora", tfinal=tfinal), **sizes))
    sizes["examples"] += 4
    cell = one_cell(entry("adalora", tfinal=tfinal), **sizes)
    adapted = adapt(encoder(), cell)
    steps(adapted, cell, sizes["examples"] // 4)
    ranks = [int((p != 0).sum()) for n, p in adapted.model.named_parameters() if "lora_E" in n]
    assert sum(ranks) == 4 * 8


def test_a_method_that_adapts_other_modules_is_refused() -> None:
    cell = one_cell(entry("lora", trainable_token_indices=[1, 2]))
    with pytest.raises(ValueError, match="not the 4 that the sweep names"):
        adapt(encoder(), cell)


def test_the_rehearsal_takes_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rehearse(encoder(), one_cell(entry("vera")))
    monkeypatch.delitem(REFUSED, "poly")
    with pytest.raises(ValueError, match="task_ids"):
        rehearse(encoder(), one_cell(entry("poly")))
    alora = entry("lora", alora_invocation_tokens=[3, 4])
    with pytest.raises(ValueError, match="gets a gradient"):
        rehearse(encoder(), one_cell(alora))


def test_norm_layers_are_those_of_the_backbone() -> None:
    assert len(norm_layers(decoder())) == 5
    names = norm_layers(encoder())
    assert "encoder.embeddings.LayerNorm" in names
    model = adapt(encoder(), one_cell(entry("ln_tuning"))).model
    assert isinstance(model, PeftModel)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == 5 * 2 * 256 + 2 * 256 + 2
