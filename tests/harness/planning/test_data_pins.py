"""A cell is pinned by the examples that it reads, at its own length and seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.core.cell import Cell
from harness.execution.cell_main import run_cell
from harness.planning.plan import Plan, make_plan
from harness.planning.sweep import load_sweep

PLUGIN = """
import json
from pathlib import Path
from tasks import Example, Splits, Task, TaskMetadata

class Mine(Task):
    metadata = TaskMetadata(
        name="mine", title="mine", description="d", labels=("no", "yes"), source="s",
        revision="1", licence="l", citation="c", natural_length=20, lengths=(16,), min_length=8,
        whole_texts=True,
    )

    def splits(self, length, seed):
        rows = json.loads((Path(__file__).parent / f"{length}-{seed}.json").read_text())
        part = [Example(f"{n}", text, label) for n, (text, label) in enumerate(rows)]
        return Splits(part[:8], part[8:12], part[12:])
"""

SWEEP = """
name: s
backbone: minilm
tasks: [mine]
lengths: [16, 24]
methods: [lora]
seeds: [0, 2]
train: {examples: 6, validation_examples: 4, test_examples: 4, lr: 1e-3, validations: 1}
"""


def write(folder: Path, length: int, seed: int, flip: int = 0) -> None:
    rows = [[f"text {n} of {length} and {seed}", (n + flip) % 2] for n in range(16)]
    (folder / f"{length}-{seed}.json").write_text(json.dumps(rows))


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    for length in (16, 24):
        for seed in (0, 1, 2):
            write(tmp_path, length, seed)
    return plan(tmp_path)


def plan(folder: Path) -> Plan:
    path = folder / "sweep.yaml"
    return make_plan(load_sweep(path), path, folder)


def ids(plan: Plan) -> dict[tuple[str, int, int], str]:
    return {(c.method, c.length, c.seed): c.id for c in plan.cells}


@pytest.mark.parametrize(("length", "seed"), [(24, 2), (24, 0), (16, 2)])
def test_other_labels_at_one_length_and_seed_are_other_cells(
    planned: Plan, tmp_path: Path, length: int, seed: int
) -> None:
    """Neither the length nor the seed need be among those that the task's own version covers."""
    write(tmp_path, length, seed, flip=1)
    before, after = ids(planned), ids(plan(tmp_path))
    changed = {place for place in before if before[place] != after[place]}
    assert changed >= {("lora", length, seed), ("tfidf", length, seed)}
    if (length, seed) == (24, 2):  # in no other cell's version
        assert {place[1:] for place in changed} == {(24, 2)}


def test_examples_that_no_cell_reads_change_no_cell(planned: Plan, tmp_path: Path) -> None:
    path = tmp_path / "24-2.json"
    rows = json.loads(path.read_text())
    rows[7][1] = 1 - rows[7][1]  # of train, of which six are read
    path.write_text(json.dumps(rows))
    assert ids(planned) == ids(plan(tmp_path))


def test_a_cell_refuses_data_that_changed_since_it_was_planned(
    planned: Plan, tmp_path: Path
) -> None:
    def outcome(cell: Cell) -> tuple[str, str]:
        result = run_cell(cell, planned.backbone, tmp_path)
        return result.status, (result.error and result.error.message) or ""

    cell = next(c for c in planned.cells if (c.method, c.length, c.seed) == ("tfidf", 24, 2))
    assert outcome(cell) == ("ok", "")
    write(tmp_path, 24, 2, flip=1)
    status, message = outcome(cell)
    assert status == "error"
    assert "'mine' at 24 tokens, seed 2" in message


def test_a_task_whose_version_pins_it_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP.replace("mine", "needle").replace("[16, 24]", "[64]"))
    for cell in make_plan(load_sweep(path), path).cells:
        assert set(cell.revisions) == {"task", "backbone"}
