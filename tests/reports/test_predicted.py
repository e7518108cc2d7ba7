"""The section on predicted and measured costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.folder import read_run, write_packed
from harness.core.predicted import PREDICTED, Predicted, PredictedRun
from reports import load_results
from reports.blocks import Picture
from reports.sections.predicted import predicted_costs
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import loaded, rows_of

MIB = 2**20


def probe(length: int) -> dict[str, Any]:
    cost = {
        "train_live_peak_bytes": 100 * MIB,
        "eval_live_peak_bytes": 50 * MIB,
        "train_tokens_per_s": float(length),
        "eval_tokens_per_s": 2.0 * length,
    }
    return make_cell("lora", 1.0, length, kind="probe", lr=1e-4, cost=cost)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two probes; the second is predicted 10 % too large, and its step 20 % too short."""
    cells = [probe(128), probe(256)]
    folder = write_run(tmp_path / "run", cells)
    batch = cells[0]["cell"]["batch_size"]
    found = {
        cells[0]["id"]: Predicted(train_live_peak_bytes=100 * MIB, train_step_s=batch),
        cells[1]["id"]: Predicted(train_live_peak_bytes=110 * MIB, train_step_s=0.8 * batch),
    }
    (folder / PREDICTED).write_text(PredictedRun(cells=found).text)
    return folder


def test_errors_are_shown(run: Path) -> None:
    blocks = predicted_costs(loaded(run))
    rows = {str(row["Cost"]): row for row in rows_of(blocks, "Median error")}
    assert rows["Live memory, training"]["Median error"] == "5.0 %"
    assert rows["Live memory, training"]["Worst error"] == "10.0 %"
    assert rows["Live memory, training"]["Worst at"] == "LoRA 1 at 256 tokens"
    assert rows["Training step"]["Worst error"] == "20.0 %"
    assert "Evaluation step" not in rows
    picture = next(block for block in blocks if isinstance(block, Picture))
    assert "Median error: live memory, training 5.0 % and training step 10.0 %." in picture.caption
    values = rows_of(blocks, "Tokens")
    assert [row["Live memory, training"] for row in values] == [
        "100.0 MiB / 100.0 MiB", "110.0 MiB / 100.0 MiB",
    ]  # fmt: skip


def test_published_runs_keep_their_predictions(run: Path, tmp_path: Path) -> None:
    write_packed(read_run(run), tmp_path / "published")
    found = load_results(tmp_path / "published")["predicted"]
    assert sorted(one.train_live_peak_bytes for one in found) == [100 * MIB, 110 * MIB]


@pytest.mark.parametrize("text", ["", "[]", '{"cells": {"x": {"cell_s": -1}}}', "{"])
def test_a_file_that_cannot_be_used_is_as_none(run: Path, text: str) -> None:
    (run / PREDICTED).write_text(text)
    assert predicted_costs(loaded(run)) == []
