"""Cells, results and run folders: stable ids, one form for writing and reading, old files load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.core.cell import PROTOCOL_VERSION, Cell
from harness.core.columns import CORE_COLUMNS, EXTRA_COLUMNS, row
from harness.core.folder import Manifest, RunTime, read_run
from harness.core.result import (
    FORMAT,
    CellResult,
    Cost,
    Evaluation,
    Failure,
    Predictions,
    Scores,
    Seconds,
)

FORMAT_1 = Path(__file__).parent / "format1"
ID = "260fce998873"

CELL = Cell(
    kind="train", task="newsgroups", backbone="minilm", method="lora", density=0.5, rank=8,
    alpha=16.0, placement="alternate", target="attention", length=64, seed=0, lr=1e-3,
    batch_size=8, examples=32, validation_examples=16, test_examples=40, epochs=1, validations=2,
    dtype="float32", device="cpu",
)  # fmt: skip


def test_a_file_of_format_1_loads_with_its_values() -> None:
    old = json.loads((FORMAT_1 / "cells" / f"{ID}.json").read_text())
    run = read_run(FORMAT_1)
    assert run.unreadable == []
    result = run.results[ID]
    assert result.cell.id != ID  # an earlier protocol: it is shown, and its cell is run again
    found = row(result)
    places = {column.place: column.name for column in CORE_COLUMNS + EXTRA_COLUMNS}
    checked = 0
    for section in ("cell", "model", "scores", "cost", "data"):
        for name, value in old[section].items():
            column = places.get(f"{section}.{name}", places.get(f"{section}.secondary.{name}"))
            if column and value not in (None, {}):
                assert found[column] == value, column
                checked += 1
    assert checked > 40
    assert found["wall_s"] == old["seconds"]["wall"]
    assert found["protocol"] == old["recipe"]
    assert found["commit"] == old["environment"]["commit"]
    assert [p.validation_score for p in result.curve] == [
        p["validation_score"] for p in old["curve"]
    ]
    assert result.predictions is not None
    answers = zip(*(old["predictions"][key] for key in ("ids", "labels", "predicted")), strict=True)
    assert result.predictions.correct() == {str(i): y == p for i, y, p in answers}


def test_a_result_is_read_as_it_was_written() -> None:
    result = CellResult.begun(CELL, {"torch": "2.13.0", "gpu": None, "threads": 1})
    result.status = "ok"
    result.scores = Scores(metric="matthews", score=-0.25, secondary={"macro_f1": 0.5})
    result.cost = Cost(base_bytes=3, train_tokens_per_s=1.5)
    result.predictions = Predictions(ids=["a", "b"], labels=[0, 1], predicted=[0, 0])
    result.evaluations = [Evaluation(task="t", value=0.5, status="ok", length=128, position=7)]
    again = CellResult.model_validate_json(result.model_dump_json())
    assert again == result
    assert json.loads(result.model_dump_json())["format"] == FORMAT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 3}, "format 3"),
        ({"format": True}, "format True"),
        ({"status": "fine"}, "status"),
        ({"scores": {"metric": "accuracy", "score": -0.1}}, "score -0.1"),
        ({"scores": {"metric": "loss", "score": -0.1}}, "score -0.1"),
        ({"scores": {"accuracy": 1.5}}, "scores.accuracy"),
        ({"cost": {"train_peak_bytes": 1.5}}, "cost.train_peak_bytes"),
        ({"cost": {"train_peak_bytes": -1}}, "cost.train_peak_bytes"),
        ({"cost": {"train_peak_bytes": "1"}}, "cost.train_peak_bytes"),
        ({"cell": {**CELL.model_dump(), "length": -1}}, "cell.length"),
        ({"cell": {**CELL.model_dump(), "length": True}}, "cell.length"),
        ({"cell": {**CELL.model_dump(), "density": 1.5}}, "cell.density"),
    ],
)
def test_values_that_cannot_be_are_refused(change: dict[str, Any], reason: str) -> None:
    data = json.loads(CellResult.begun(CELL).model_dump_json()) | change
    with pytest.raises(ValidationError) as caught:
        CellResult.model_validate(data)
    error = caught.value.errors()[0]
    assert reason in f"{'.'.join(map(str, error['loc']))} {error['msg']}"


def test_numbers_that_are_not_finite_are_none() -> None:
    scores = Scores.model_validate({"score": float("nan"), "validation_loss": float("inf")})
    assert (scores.score, scores.validation_loss) == (None, None)


def test_a_later_field_at_its_default_changes_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of earlier versions stay valid. A golden id, because it is a contract with files."""
    assert PROTOCOL_VERSION == 6
    monkeypatch.setattr("harness.core.cell.PROTOCOL_VERSION", 5)  # that of the golden id
    assert CELL.id == Cell.model_validate({**CELL.model_dump(), "curriculum": "none"}).id
    assert CELL.id != CELL.model_copy(update={"curriculum": "other"}).id
    old = json.loads((FORMAT_1 / "cells" / f"{ID}.json").read_text())["cell"]
    assert Cell.model_validate(old).id == ID


def test_a_process_that_died_has_a_result_with_a_log() -> None:
    failure = Failure("error", "ProcessDied", "killed by signal 9")
    result = CellResult.failed(CELL, None, failure, 2.5)
    assert row(result) | {"status": "error", "wall_s": 2.5, "device": "cpu"} == row(result)
    assert row(result)["log"] == f"logs/{CELL.id}.log"
    assert row(result)["error"] == "ProcessDied: killed by signal 9"


def test_columns_have_one_name_each_and_a_place() -> None:
    names = [column.name for column in CORE_COLUMNS + EXTRA_COLUMNS]
    assert len(set(names)) == len(names)
    assert [column.name for column in CORE_COLUMNS][:3] == ["id", "kind", "status"]
    full = CellResult.begun(CELL)
    full.scores, full.cost, full.seconds = Scores(), Cost(), Seconds()
    for column in EXTRA_COLUMNS + CORE_COLUMNS:
        section, _, name = column.place.rpartition(".")
        part = getattr(full, section, None) if section else full
        if part is not None and section not in ("cell", "environment"):
            assert hasattr(part, name), column


def test_the_manifest_adds_up_its_runs_and_ignores_damaged_ones() -> None:
    run = RunTime(cells=1, wall_s=10, busy_s=15, workers=2).model_dump()
    data = {"name": "a", "ids": ["x"], "runs": [run, {"wall_s": "x"}, 3]}
    manifest = Manifest.model_validate(data)
    assert (manifest.wall_s, manifest.workers, manifest.overhead_share) == (10, 2, 0.25)
    again = Manifest.model_validate_json(manifest.model_dump_json())
    assert again == manifest
