"""Targets in sweep files, and ranks that give arms equal parameters."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import BertConfig, BertModel

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.costs.dry_run import dry_run
from harness.costs.matching import Matching, adapter_parameters
from harness.models.backbones import Backbone
from harness.planning.arms import arms, reference_arm
from harness.planning.sweep import Sweep

ARM: dict[str, Any] = {
    "density": 1.0,
    "placement": "alternate",
    "rank": 8,
    "alpha": 16.0,
    "target": "attention",
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=4, num_attention_heads=2,
        intermediate_size=64,
    )  # fmt: skip
    config.architectures = [BertModel.__name__]
    config.save_pretrained(folder)
    return Backbone("tiny", folder, "none")


def sweep(*methods: Any, **more: Any) -> Sweep:
    probe = {"lengths": [16]}
    fields = {"name": "x", "backbone": "x", "methods": [*methods], "probe": probe, **more}
    return Sweep.model_validate(fields)


@pytest.mark.parametrize(
    ("written", "targets"),
    [
        ("mlp", ["mlp"]),
        (["attention", "mlp"], ["attention", "mlp"]),
        (["query", "key"], ["query+key"]),
        (["mlp", ["query", "key"]], ["mlp", "query+key"]),
        ("query+key", ["query+key"]),
    ],
)
def test_forms_of_targets(written: Any, targets: list[str]) -> None:
    assert sweep({"lora": {"target": written}}).methods[0].target == targets


@pytest.mark.parametrize("written", ["query", ["mlp", "query"]])
def test_a_mixture_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match=r"unknown target 'query'.*\[\[query\], mlp\]"):
        sweep({"lora": {"target": written}})


def cell(backbone: Backbone, method: str, **arm: Any) -> Cell:
    return Cell(
        kind="probe", task=None, backbone=backbone.name, method=method, length=64, seed=0, lr=1e-4,
        batch_size=1, steps=2, dtype="float32", device="cpu", **{**ARM, **arm},
    )  # fmt: skip


def test_equal_parameters(backbone: Backbone) -> None:
    found = sweep(
        {"lora": {"rank": 8}},
        {"lora": {"target": "mlp"}},
        {"ssmlora": {"density": 0.5}},
        match="parameters",
    )
    matching = Matching(reference_arm(found), backbone, "x.yaml")
    matched = [
        matching.matched(arm, False, False) for entry in found.methods for arm in arms(entry)
    ]
    counts = [adapter_parameters(cell(backbone, **arm), backbone) for arm in matched]
    assert [arm["rank"] for arm in matched] == [8, 5, 12]
    assert counts[0] == 2 * 4 * (32 + 32) * 8
    for arm, count in zip(matched, counts, strict=True):
        for rank in (arm["rank"] - 1, arm["rank"] + 1):
            other = adapter_parameters(cell(backbone, **{**arm, "rank": rank}), backbone)
            assert abs(other - counts[0]) >= abs(count - counts[0])
    assert matched[1]["alpha"] == 10.0
    assert any("LoRA 1 mlp r5" in line for line in matching.warnings)


def test_an_arm_that_cannot_be_built(backbone: Backbone) -> None:
    found = sweep({"lora": {}}, {"lora": {"target": ["queries"]}}, match="parameters")
    with pytest.raises(BadInput, match=r"x.yaml: methods.lora: cannot be built on tiny: target"):
        Matching(reference_arm(found), backbone, "x.yaml").matched(
            next(arms(found.methods[1])), False, False
        )


def test_backward_stops_at_the_lowest_adapted_block(backbone: Backbone) -> None:
    """The placement decides work and memory of a step, at equal parameters."""
    first, last = (
        dry_run(cell(backbone, "lora", density=0.25, placement=placement), backbone)
        for placement in ("first", "last")
    )
    assert first.trainable_params == last.trainable_params
    assert last.train.work.flops < 0.8 * first.train.work.flops
    assert last.train.parts["saved_base"] < 0.5 * first.train.parts["saved_base"]
