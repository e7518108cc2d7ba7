"""The section on memory: live tensors where they were measured, else the peak of the process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.result import LIVE_PARTS
from reports.blocks import Block, Picture
from reports.frame import Result
from reports.sections.cost import memory_by_length
from reports.sections.overview import overview
from reports.sections.parts import memory_parts
from reports.stats import cost_points, peak_column
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import loaded, rows_of, texts

MIB = 2**20
Load = Callable[..., list[Result]]


def probe(method: str, density: float | None, length: int, more: float = 0.0) -> dict[str, Any]:
    """A probe whose parts are 10, 11, 12 … MiB; `more` MiB of them for the adapter."""
    parts = {part: (10 + k) * MIB for k, part in enumerate(LIVE_PARTS)}
    parts["saved_adapter"] += int(more * MIB)
    cost = {f"live_{part}_bytes": size for part, size in parts.items()}
    cost |= {
        "train_live_peak_bytes": sum(parts.values()),
        "eval_live_peak_bytes": 50 * MIB,
        "train_resident_bytes": 300 * MIB,
        "eval_resident_bytes": 200 * MIB,
    }
    return make_cell(method, density, length, kind="probe", lr=1e-4, cost=cost)


def section_of(folder: Path, cells: list[dict[str, Any]]) -> list[Block]:
    return memory_by_length(loaded(write_run(folder / "run", cells)))


def figure(blocks: list[Block]) -> Picture:
    return next(block for block in blocks if isinstance(block, Picture))


CELLS = [
    probe(method, density, length, more)
    for length in (128, 256)
    for method, density, more in (("lora", 1.0, 0.0), ("ssmlora", 1.0, 0.3))
]


def test_live_memory_is_the_headline(tmp_path: Path) -> None:
    blocks = section_of(tmp_path, CELLS)
    assert figure(blocks).caption.startswith("Live memory by length. Peak of the bytes of all live")
    assert "Resident peak of the process" not in figure(blocks).caption
    rows = rows_of(blocks, "Phase")
    assert [(r["Arm"], r["Phase"], r["256 tokens"]) for r in rows[:2]] == [
        ("LoRA 1", "Training", "108.0 MiB"),
        ("SSMLoRA 1", "Training", "108.3 MiB"),
    ]


def test_files_without_live_memory_show_the_process(tmp_path: Path) -> None:
    cells = [make_cell("lora", 1.0, length, kind="probe", lr=1e-4) for length in (128, 256)]
    blocks = section_of(tmp_path, cells)
    assert figure(blocks).caption.startswith("Resident memory by length. Resident peak of the")
    assert memory_parts(loaded(tmp_path / "run")) == []


def test_one_measure_for_all_cells(load: Load) -> None:
    cells = [CELLS[0], make_cell("full", None, 128, kind="probe", lr=1e-4)]
    assert peak_column(load(cells)) == "peak_bytes"
    assert peak_column(load(CELLS)) == "live_peak_bytes"
    assert set(cost_points(load(CELLS), "train_live_peak_bytes")) == {"LoRA 1", "SSMLoRA 1"}


def test_the_overview_shows_the_same_peak(tmp_path: Path) -> None:
    rows = rows_of(overview(loaded(write_run(tmp_path / "run", CELLS))), "Train peak at 256")
    assert [row["Train peak at 256"] for row in rows] == ["108 MiB", "108 MiB"]


@pytest.mark.parametrize("note", ["no resident peaks: clear_refs cannot be written"])
def test_the_reason_of_a_missing_peak_is_shown(tmp_path: Path, note: str) -> None:
    cell = make_cell("lora", 1.0, 128, kind="probe", lr=1e-4, cost={"memory_note": note})
    assert note in texts(section_of(tmp_path, [cell, cell]))
