"""Where a cell's learning rate comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.methods import TFIDF
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep
from tests.harness.conftest import SWEEPS, TINY

STUDY = yaml.safe_load((SWEEPS / "tuned.yaml").read_text())
HALF_LORA = next(
    entry["lr"]
    for entry in STUDY["entries"]
    if (entry["arm"]["method"], entry["arm"]["density"]) == ("lora", 0.5)
)


def trained(folder: Path, *changes: tuple[str, str]) -> list[Cell]:
    text = TINY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "sweep.yaml"
    path.write_text(text)
    return [c for c in make_plan(load_sweep(path), path).cells if c.method != TFIDF]


def test_a_number_in_the_sweep_is_taken(tmp_path: Path) -> None:
    (cell,) = trained(tmp_path, ("1.0e-3", "3e-3"))
    assert (cell.lr, cell.lr_source) == (3e-3, "sweep")


def test_rates_of_the_method_come_first(tmp_path: Path) -> None:
    found = trained(tmp_path, ("density: 0.5", "lr: [1e-3, 2e-3]"))
    assert {(cell.lr, cell.lr_source) for cell in found} == {(1e-3, "sweep"), (2e-3, "sweep")}


def test_without_a_rate_the_projects_study_is_found_from_any_folder(tmp_path: Path) -> None:
    (cell,) = trained(tmp_path, (", lr: 1.0e-3", ""))
    assert (cell.lr, cell.lr_source) == (HALF_LORA, "tuned")


def test_a_study_beside_the_sweep_comes_before_the_projects(tmp_path: Path) -> None:
    arm = next(e["arm"] for e in STUDY["entries"] if e["arm"]["density"] == 0.5)
    entry = {"arm": {**arm, "method": "lora"}, "lr": 0.0123, "tries": []}
    (tmp_path / "tuned.yaml").write_text(yaml.safe_dump({"study": {}, "entries": [entry]}))
    (cell,) = trained(tmp_path, (", lr: 1.0e-3", ""))
    assert (cell.lr, cell.lr_source) == (0.0123, "tuned")


def test_an_arm_without_a_study_gets_its_methods_default(tmp_path: Path) -> None:
    methods = "full\n  - ssmlora\n  - ia3\n  - lora: {rank: 4}"
    changes = ("lora: {density: 0.5}", methods), (", lr: 1.0e-3", ""), ("newsgroups", "needle")
    found = trained(tmp_path, *changes, ("[32]", "[64]"))
    rates = {cell.method: cell.lr for cell in found}
    assert rates == {"full": 5e-5, "ssmlora": 1e-3, "ia3": 3e-3, "lora": 1e-3}
    assert {cell.lr_source for cell in found} == {"default"}


def test_options_are_another_arm_than_the_studied_one(tmp_path: Path) -> None:
    (cell,) = trained(
        tmp_path, ("density: 0.5", "density: 0.5, use_rslora: true"), (", lr: 1.0e-3", "")
    )
    assert cell.lr_source == "default"


def test_an_explicit_tuned_needs_an_entry(tmp_path: Path) -> None:
    (cell,) = trained(tmp_path, ("1.0e-3", "tuned"))
    assert (cell.lr, cell.lr_source) == (HALF_LORA, "tuned")
    with pytest.raises(BadInput) as refused:
        trained(tmp_path, ("1.0e-3", "tuned"), ("newsgroups", "needle"), ("[32]", "[64]"))
    (line,) = refused.value.args
    for word in ("sweep.yaml", "train.lr", "LoRA 1/2", "needle", "lora of minilm on newsgroups"):
        assert word in line


def test_the_source_of_a_rate_is_no_part_of_the_id(tmp_path: Path) -> None:
    (by_study,) = trained(tmp_path, (", lr: 1.0e-3", ""))
    (by_hand,) = trained(tmp_path, ("1.0e-3", repr(HALF_LORA)))
    assert by_study.lr_source != by_hand.lr_source
    assert by_study.id == by_hand.id


def test_every_arm_without_an_entry_is_named(tmp_path: Path) -> None:
    methods = "lora: {density: [0.25, 0.125]}\n  - ssmlora: {rank: 4}\n  - full"
    with pytest.raises(BadInput) as refused:
        trained(tmp_path, ("lora: {density: 0.5}", methods), ("1.0e-3", "tuned"))
    (line,) = refused.value.args
    for word in ("LoRA 1/4", "LoRA 1/8", "SSMLoRA 1 r4", "on newsgroups"):
        assert word in line
    assert "Full" not in line


def test_a_sweep_named_as_a_study_is_does_not_read_itself(tmp_path: Path) -> None:
    path = tmp_path / "tuned.yaml"
    path.write_text(TINY.replace(", lr: 1.0e-3", ""))
    (cell,) = (c for c in make_plan(load_sweep(path), path).cells if c.method != TFIDF)
    assert (cell.lr, cell.lr_source) == (HALF_LORA, "tuned")


def test_other_alpha_or_target_is_another_arm_than_the_studied_one(tmp_path: Path) -> None:
    (cell,) = trained(tmp_path, ("density: 0.5", "density: 0.5, alpha: 4"), (", lr: 1.0e-3", ""))
    assert cell.lr_source == "default"
    other = cell.model_copy(update={"target": "all-linear"})
    assert "target" not in cell.arm_key
    assert other.arm_key == {**cell.arm_key, "target": "all-linear"}
