"""The control arms of a sweep."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.methods import HEAD, TFIDF
from harness.planning.controls import matching_rank
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep
from tests.harness.conftest import SWEEPS


def smoke(*changes: str) -> list[Cell]:
    path = SWEEPS / "smoke.yaml"
    return [c for c in make_plan(load_sweep(path, changes), path).cells if c.method != TFIDF]


def test_head_runs_at_every_length_and_seed_beside_adapters() -> None:
    found = [c for c in smoke("seeds=[0, 1]") if c.method == HEAD]
    assert Counter((c.kind, c.length, c.seed) for c in found) == Counter(
        [*(("train", n, s) for n in (32, 64) for s in (0, 1)), ("probe", 128, 0)]
    )
    assert {c.arm for c in found} == {"Head only"}


@pytest.mark.parametrize("change", ["controls=[]", "methods=[full]"])
def test_no_control_where_it_is_turned_off_or_controls_nothing(change: str) -> None:
    assert all(cell.method != HEAD for cell in smoke(change))


def test_a_head_in_the_sweep_is_not_added_again() -> None:
    found = [c for c in smoke("methods=[lora, {head: {lr: [1e-3, 1e-2]}}]") if c.method == HEAD]
    trained = {(c.length, c.lr, c.head_lr) for c in found if c.kind == "train"}
    assert trained == {(n, lr, lr) for n in (32, 64) for lr in (1e-3, 1e-2)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("controls=[haed]", r"controls: unknown control 'haed'. Did you mean 'head'\?"),
        ("controls=[head, head]", "duplicate value: head"),
        ("methods=[{head: {density: 0.5}}]", "methods.head.density: .* takes no settings but lr"),
        ("methods=[{head: {bias: all}}]", "methods.head.bias: .* takes no settings but lr"),
    ],
)
def test_what_is_refused(change: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        smoke(change)


def test_sites_of_the_paper_have_no_lora_control() -> None:
    change = "methods=[{ssmlora: {density: 0.5, target: paper, lr: 1.0e-3}}]"
    found = smoke(change, "controls=[mechanism]", "train.head_lr=0.01")
    assert {c.arm for c in found} == {
        "SSMLoRA 1/2 paper", "SSMLoRA 1/2 paper link_state=False"
    }  # fmt: skip


def test_a_language_model_has_no_head_to_train(tmp_path: Path) -> None:
    path = SWEEPS / "smoke.yaml"
    changes = ("backbone=smollm2", "tasks=[pysource_lm]")
    with pytest.raises(BadInput, match="no task of this sweep has a classifier"):
        make_plan(load_sweep(path, (*changes, "methods=[lora, head]")), path)
    cells = make_plan(load_sweep(path, changes), path).cells
    assert {c.method for c in cells} == {"full", "lora", "ssmlora", "base"}
    assert {c.head_lr for c in cells} == {None}


def test_the_classifier_has_one_rate_in_all_arms() -> None:
    trained = [c for c in smoke("train.head_lr=0.02") if c.kind == "train"]
    assert {c.head_lr for c in trained} == {0.02}
    assert {c.lr for c in trained if c.method == HEAD} == {0.02}
    assert {c.lr for c in trained if c.method != HEAD} == {0.001}


def test_mechanism_controls_of_ssmlora() -> None:
    methods = "methods=[{lora: {density: 1, rank: 8}}, {ssmlora: {density: 0.5}}]"
    cells = smoke(methods, "controls=[mechanism]", "lengths=[32]")
    assert Counter(c.arm for c in cells if c.kind == "train") == Counter(
        [
            "LoRA 1", "SSMLoRA 1/2", "SSMLoRA 1/2 link_state=False", "LoRA 1/2",
            "LoRA 1/2 bias=lora_only", "LoRA 1 r4",
        ]
    )  # fmt: skip


def test_the_mechanism_control_of_hrm() -> None:
    change = "methods=[{hrm: {rank: 4, target: mlp}}]"
    cells = smoke(change, "controls=[mechanism]", "lengths=[32]")
    assert {c.arm for c in cells if c.kind == "train"} == {
        "HRM 1 mlp r4", "HRM 1 mlp r4 memory=False"
    }  # fmt: skip
    alone = smoke(change.replace("mlp", "mlp, memory: false"), "controls=[mechanism]")
    assert {c.arm for c in alone} == {"HRM 1 mlp r4 memory=False"}


def test_the_matching_rank_has_about_as_many_parameters() -> None:
    """Counted on the adapted layers of a small model, for several densities and ranks."""
    import torch
    from peft import LoraConfig, get_peft_model

    from ssmlora import SSMLoraConfig

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q_proj, self.v_proj = torch.nn.Linear(96, 96), torch.nn.Linear(96, 96)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([Block() for _ in range(4)])

    def count(config: Any) -> int:
        model = get_peft_model(Model(), config)
        return sum(p.numel() for p in model.parameters() if p.requires_grad)

    for density, rank in ((1.0, 4), (0.5, 8), (0.25, 8)):
        wanted = count(SSMLoraConfig(r=rank, density=density))
        matched = matching_rank(density, rank)
        counts = {
            r: count(LoraConfig(r=r, target_modules=["q_proj", "v_proj"]))
            for r in range(1, 2 * rank)
        }
        assert min(counts, key=lambda r: abs(counts[r] - wanted)) == matched
