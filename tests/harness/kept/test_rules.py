"""Which models stay in a run folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.core.card import KeptModel, read_kept
from harness.core.cell import Cell
from harness.core.folder import RunFolder
from harness.kept.rules import Best, Keeping, checkpoint_bytes, kept_bytes
from tests.reports.conftest import make_cell


def cell_of(method: str = "lora", length: int = 64, **more: Any) -> Cell:
    data = make_cell(method, 1.0, length)["cell"]
    return Cell.model_validate(data | more)


def put(folder: Path, cell: Cell, loss: float | None, rule: str = "best") -> str:
    """A kept model without weights."""
    place = folder / "kept" / cell.id
    place.mkdir(parents=True)
    model = KeptModel(id=cell.id, form="adapter", rule=rule, cell=cell, validation_loss=loss)  # type: ignore[arg-type]
    (place / "kept.json").write_text(model.model_dump_json())
    return cell.id


def ids(folder: Path) -> set[str]:
    return {path.name for path in (folder / "kept").iterdir()}


def test_the_lowest_validation_loss_of_an_arm_stays(tmp_path: Path) -> None:
    best = Best(Keeping(tmp_path))
    kept = []
    for seed, loss in ((0, 0.5), (1, 0.4), (2, 0.6), (3, None)):
        best.add(put(tmp_path, cell_of(seed=seed, lr=1e-3 * (seed + 1)), loss))
        kept.append(ids(tmp_path))
    names = [cell_of(seed=seed, lr=1e-3 * (seed + 1)).id for seed in range(4)]
    assert kept == [{names[0]}, {names[1]}, {names[1]}, {names[1]}]


def test_arms_lengths_tasks_and_settings_have_a_best_each(tmp_path: Path) -> None:
    cells = [
        cell_of(), cell_of(length=128), cell_of(task="other"), cell_of("ssmlora"),
        cell_of(density=0.5), cell_of(epochs=9), cell_of(revisions={"task": "2"}),
    ]  # fmt: skip
    best = Best(Keeping(tmp_path))
    for place, cell in enumerate(cells):
        best.add(put(tmp_path, cell, float(place)))
    assert ids(tmp_path) == {cell.id for cell in cells}


def test_the_digest_of_the_examples_of_a_seed_is_no_other_arm(tmp_path: Path) -> None:
    best = Best(Keeping(tmp_path))
    for seed in (0, 1):
        revisions = {"task": "1", "examples": str(seed)}
        best.add(put(tmp_path, cell_of(seed=seed, revisions=revisions), 1.0 - seed))
    assert len(ids(tmp_path)) == 1


def test_a_run_that_was_killed_before_it_decided_decides_later(tmp_path: Path) -> None:
    """Two models are there, as after a kill between a result and the removal of the worse one."""
    put(tmp_path, cell_of(seed=0), 0.5)
    good = put(tmp_path, cell_of(seed=1), 0.4)
    Best(Keeping(tmp_path))
    assert ids(tmp_path) == {good}


def test_models_of_an_earlier_run_that_kept_all_stay(tmp_path: Path) -> None:
    for seed in (0, 1):
        put(tmp_path, cell_of(seed=seed), 0.9, "all")
    best = Best(Keeping(tmp_path))
    best.add(put(tmp_path, cell_of(seed=2), 0.5))
    assert len(ids(tmp_path)) == 3


def test_folders_that_are_not_whole_are_removed_at_the_next_start(tmp_path: Path) -> None:
    dead = 2**22 + 1  # above the largest number of a process
    left = tmp_path / "kept" / f"0123456789ab.{dead}.tmp"
    own = tmp_path / "kept" / f"0123456789ab.{os.getpid()}.tmp"
    part = tmp_path / "checkpoints" / f"0123456789ab.safetensors.{dead}.tmp"
    foreign = tmp_path / "kept" / "notes.tmp"
    for folder in (left, own, foreign):
        folder.mkdir(parents=True)
        (folder / "x").write_text("x")
    part.parent.mkdir()
    part.write_text("half")
    with RunFolder(tmp_path):
        assert ids(tmp_path) == {own.name, foreign.name}
        assert not part.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "another"}, "it is the model of the cell another"),
        ({"id": "../../x"}, "id String should match"),
        ({"form": "pickle"}, "form "),
        ({"format": 9}, "format "),
        ({"score": "high"}, "score is not a number"),
        ([], "kept.json"),
    ],
)
def test_a_description_that_is_wrong_is_named(tmp_path: Path, change: Any, reason: str) -> None:
    name = put(tmp_path, cell_of(), 0.5)
    file = tmp_path / "kept" / name / "kept.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | change if isinstance(change, dict) else change))
    models, ((where, why),) = read_kept(tmp_path)
    assert (models, where) == ([], name)
    assert reason in why
    Best(Keeping(tmp_path)).add(name)  # and nothing is removed
    assert ids(tmp_path) == {name}


def test_the_size_of_what_will_be_kept() -> None:
    cells = [cell_of(seed=0), cell_of(seed=1), cell_of("full"), cell_of("tfidf")]
    sizes = {cell.id: (100, 1000) for cell in cells}
    place = Path("run")
    assert kept_bytes(cells, Keeping(place), sizes) == 400
    assert kept_bytes(cells, Keeping(place, "all"), sizes) == 800
    assert kept_bytes(cells, Keeping(place, "best", full=True), sizes) == 4400
    assert kept_bytes(cells, Keeping(place, "none", full=True), sizes) == 0
    assert checkpoint_bytes([10, 1000, 100], 2) == 3 * 4 * 1100
