"""Where a cell's learning rate comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.methods import HEAD, TFIDF
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep
from harness.planning.tuned import settings_of
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


def study(folder: Path, *entries: tuple[Cell, float, dict[str, Any]]) -> None:
    """Write a study of cells at rates, with changes of their settings."""
    content = [
        {"arm": cell.arm_key, "settings": settings_of(cell) | changes, "lr": lr, "tries": []}
        for cell, lr, changes in entries
    ]
    (folder / "tuned.yaml").write_text(json.dumps({"study": {}, "entries": content}))


NO_RATE = (", lr: 1.0e-3", "")
TRANSFER = ("1.0e-3", "{tuned: transfer}")
# The project's study also has a rate of the classifier.
TUNED = ("1.0e-3", "tuned, head_lr: 0.01")
TRANSFERRED = ("1.0e-3", "{tuned: transfer}, head_lr: 0.01")


def test_the_projects_study_is_found_from_any_folder(tmp_path: Path) -> None:
    (cell,) = trained(tmp_path, TRANSFER)
    assert (cell.lr, cell.lr_source) == (HALF_LORA, "transferred")


def test_a_study_with_the_same_settings_is_used_without_being_asked(tmp_path: Path) -> None:
    (cell,) = trained(tmp_path)
    study(tmp_path, (cell, 0.0123, {}))
    (found,) = trained(tmp_path, NO_RATE)
    assert (found.lr, found.lr_source) == (0.0123, "tuned")
    study(tmp_path, (cell, 0.0123, {"epochs": 2}))
    (found,) = trained(tmp_path, NO_RATE)
    assert (found.lr, found.lr_source) == (1e-3, "default")


def test_a_study_with_other_settings_is_refused_unless_it_may_be_transferred(
    tmp_path: Path,
) -> None:
    (cell,) = trained(tmp_path)
    study(tmp_path, (cell, 0.0123, {"epochs": 2, "batch_size": 9}))
    with pytest.raises(BadInput) as refused:
        trained(tmp_path, TUNED)
    (line,) = refused.value.args
    assert "other settings for LoRA 1/2 on newsgroups: " in line
    assert "batch_size 9 (here 8), epochs 2 (here 1)" in line
    assert "lr: {tuned: transfer}" in line
    (found,) = trained(tmp_path, TRANSFER)
    assert (found.lr, found.lr_source) == (0.0123, "transferred")


def test_a_study_of_an_earlier_version_matches_no_sweep(tmp_path: Path) -> None:
    change = ("density: 0.5", "density: 0.5, rank: 4")  # an arm that the project's study lacks
    (cell,) = trained(tmp_path, change)
    entry = {"arm": cell.arm_key, "settings": {}, "lr": 1e-3, "tries": []}
    (tmp_path / "tuned.yaml").write_text(yaml.safe_dump({"study": {}, "entries": [entry]}))
    with pytest.raises(BadInput, match="the study does not say its settings"):
        trained(tmp_path, change, TUNED)


def test_each_length_has_its_own_entry(tmp_path: Path) -> None:
    (cell,) = trained(tmp_path)
    study(tmp_path, *((cell, 0.01 * n, {"length": n}) for n in (32, 64)))
    lengths = ("[32]", "[32, 64, 128]")
    with pytest.raises(BadInput, match=r"other settings for LoRA .*: length 64 \(here 128\)"):
        trained(tmp_path, lengths, TUNED)
    found = {(c.length, c.lr, c.lr_source) for c in trained(tmp_path, lengths, TRANSFERRED)}
    assert found == {(32, 0.32, "tuned"), (64, 0.64, "tuned"), (128, 0.64, "transferred")}


def test_the_classifiers_rate_is_that_of_the_head_in_the_study(tmp_path: Path) -> None:
    both = ("controls: []", "controls: [head]")
    head, lora = sorted(trained(tmp_path, both), key=lambda cell: cell.method)
    study(tmp_path, (head, 0.05, {}), (lora, 0.0123, {"head_lr": 0.05}))
    for cell in trained(tmp_path, both, ("1.0e-3", "tuned")):
        assert (cell.head_lr, cell.lr_source) == (0.05, "tuned")
        assert cell.lr == (0.05 if cell.method == HEAD else 0.0123)
    with pytest.raises(BadInput, match=r"head_lr 0\.05 \(here 0\.02\)"):
        trained(tmp_path, both, ("1.0e-3", "tuned, head_lr: 0.02"))


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
    with pytest.raises(BadInput) as refused:
        trained(tmp_path, ("1.0e-3", "tuned"), ("newsgroups", "needle"), ("[32]", "[64]"))
    (line,) = refused.value.args
    for word in ("sweep.yaml", "train.lr", "LoRA 1/2", "needle", "lora of minilm on newsgroups"):
        assert word in line


def test_the_source_of_a_rate_is_no_part_of_the_id(tmp_path: Path) -> None:
    (by_study,) = trained(tmp_path, TRANSFERRED)
    (by_hand,) = trained(tmp_path, ("1.0e-3", f"{HALF_LORA!r}, head_lr: 0.01"))
    assert by_study.lr_source != by_hand.lr_source
    assert by_study.id == by_hand.id


def test_every_arm_without_an_entry_is_named(tmp_path: Path) -> None:
    methods = "lora: {density: [0.25, 0.125]}\n  - ssmlora: {rank: 4}\n  - full"
    with pytest.raises(BadInput) as refused:
        trained(tmp_path, ("lora: {density: 0.5}", methods), ("1.0e-3", "tuned"))
    line = refused.value.args[-1]
    for word in ("LoRA 1/4", "LoRA 1/8", "SSMLoRA 1 r4", "on newsgroups"):
        assert word in line
    assert "Full" not in line


def test_a_sweep_named_as_a_study_is_does_not_read_itself(tmp_path: Path) -> None:
    path = tmp_path / "tuned.yaml"
    path.write_text(TINY.replace(*TRANSFER))
    (cell,) = (c for c in make_plan(load_sweep(path), path).cells if c.method != TFIDF)
    assert (cell.lr, cell.lr_source) == (HALF_LORA, "transferred")


def test_other_alpha_or_target_is_another_arm_than_the_studied_one(tmp_path: Path) -> None:
    (cell,) = trained(tmp_path, ("density: 0.5", "density: 0.5, alpha: 4"), (", lr: 1.0e-3", ""))
    assert cell.lr_source == "default"
    other = cell.model_copy(update={"target": "all-linear"})
    assert "target" not in cell.arm_key
    assert other.arm_key == {**cell.arm_key, "target": "all-linear"}
