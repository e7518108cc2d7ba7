"""docs/results.md names every field of a result file and every column of results.csv."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from harness.core import card, cell, predicted, result, timing
from harness.core.columns import CORE_COLUMNS, EXTRA_COLUMNS
from harness.core.metrics import METRICS
from reports.frame import DETAILS, as_frame

PAGE = (Path(__file__).parents[1] / "docs" / "results.md").read_text()
_NAMES = re.compile(r"`([^`]+)`")

SECTIONS: dict[str, type[BaseModel]] = {
    "Top level": result.CellResult,
    "`cell`": cell.Cell,
    "`model`": result.ModelInfo,
    "`data`": result.DataInfo,
    "`scores`": result.Scores,
    "`curve`": result.CurvePoint,
    "`cost`": result.Cost,
    "`timing`": timing.Timing,
    "`seconds`": result.Seconds,
    "`predictions`": result.Predictions,
    "`evaluations`": result.Evaluation,
    "`environment`": result.Environment,
    "`error`": result.ErrorInfo,
    "kept.json": card.KeptModel,
}


def rows(title: str) -> list[list[str]]:
    """The cells of each row of the table below a heading."""
    (text,) = (t for t in re.split(r"^##+ ", PAGE, flags=re.MULTILINE)[1:] if t.startswith(title))
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_section_of_a_result_is_described() -> None:
    parts = {
        model
        for model in vars(result).values()
        if isinstance(model, type)
        and issubclass(model, BaseModel)
        and model.__module__.startswith(result.__name__)
    }
    assert {result.CellResult, result.Cost} < parts
    assert parts - {result.PositionLoss} <= {*SECTIONS.values()}


@pytest.mark.parametrize("title", SECTIONS)
def test_every_field_is_described_once(title: str) -> None:
    named = [_NAMES.findall(row[0])[0] for row in rows(title)]
    assert named == list(SECTIONS[title].model_fields)


def test_every_field_of_predictions_is_described() -> None:
    named = [name for row in rows("predictions.json") for name in _NAMES.findall(row[0])]
    models = (predicted.PredictedRun, predicted.Predicted)
    assert named == [name for model in models for name in model.model_fields]


def test_ranges_of_positions_are_described() -> None:
    (meaning,) = (row[-1] for row in rows("`scores`") if row[0] == "`by_position`")
    assert {*_NAMES.findall(meaning)} == {*result.PositionLoss.model_fields}


def test_every_column_is_described_once() -> None:
    named = [n for title in SECTIONS for row in rows(title) for n in _NAMES.findall(row[1])]
    named += [_NAMES.findall(row[0])[0] for row in rows("results.csv")]
    named += [c.name for c in EXTRA_COLUMNS if c.place.startswith("scores.secondary.")]
    assert sorted(named) == sorted({*as_frame([]).columns} - {*DETAILS})


def test_every_column_of_objects_is_described() -> None:
    assert [_NAMES.findall(row[0])[0] for row in rows("In Python")] == list(DETAILS)


def test_each_column_stands_at_its_field() -> None:
    places = {}
    for title in SECTIONS:
        section = "" if title == "Top level" else title.strip("`") + "."
        for row in rows(title):
            for name in _NAMES.findall(row[1]):
                places[name] = section + _NAMES.findall(row[0])[0]
    for column in CORE_COLUMNS + EXTRA_COLUMNS:
        secondary = column.place == f"scores.secondary.{column.name}" and column.name in METRICS
        assert secondary or column.place.startswith(places[column.name]), column.name


def test_the_columns_that_scripts_may_rely_on_are_listed_in_order() -> None:
    text = PAGE.partition("in this order: ")[2].partition(".\n")[0]
    assert _NAMES.findall(text) == [column.name for column in CORE_COLUMNS]


def test_the_versions_and_statuses_are_those_of_the_code() -> None:
    (form,) = (row for row in rows("Versions") if row[0] == "`format`")
    assert f"now {result.FORMAT}." in form[-1]
    (status,) = (row for row in rows("Top level") if row[0] == "`status`")
    assert _NAMES.findall(status[-1]) == [result.OK, *result.FAILURES]
