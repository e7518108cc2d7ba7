"""Figures and tables of sections, for results without a group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from harness.core.result import PositionLoss
from reports.blocks import Block, Table, Text
from reports.compare import Compared, compared, tested
from reports.figures.describe import Chart
from reports.figures.printed import drawn
from reports.frame import Result, Run, load_results, runs_of
from reports.groups import Group, Key
from reports.page import Report
from reports.sections import (
    accuracy,
    comparisons,
    cost,
    evaluations,
    length,
    overview,
    position,
    size,
    throughput,
    tuning,
)


def group(results: Iterable[Result]) -> Group:
    """Results as one group."""
    cells = list(results)
    runs = tuple(dict.fromkeys(str(r["run"]) for r in cells))
    return Group(cells, Key(runs[0] if runs else ""), runs=runs)


def load_run(folder: Path) -> Run:
    """One run folder."""
    (run,) = runs_of(load_results(folder))
    return run


def loaded(*folders: Path, out: Path = Path()) -> Report:
    """What sections get of run folders."""
    return Report(load_results(*folders), out)


def _of_group(chart: Callable[[Group], Chart]) -> Callable[[Sequence[Result]], Figure]:
    return lambda results: drawn(chart(group(results)))


accuracy_by_length = _of_group(accuracy.accuracy_by_length)
accuracy_by_parameters = _of_group(size.accuracy_by_parameters)
accuracy_by_density = _of_group(size.accuracy_by_density)
loss_by_position = _of_group(position.position_figure)
rates_tried = _of_group(tuning.rates_figure)
validation_curves = _of_group(tuning.curves_figure)
memory_by_length = _of_group(cost.memory_figure)
throughput_by_length = _of_group(throughput.throughput_figure)


length_matrix = _of_group(length.matrix_figure)
score_by_evidence = _of_group(length.evidence_figure)


def evaluation_by_length(task: str) -> Callable[[Sequence[Result]], Figure]:
    """The figure of one task of lm-eval."""
    return lambda results: drawn(evaluations.evaluation_figure(group(results), task))


def position_curves(results: Sequence[Result]) -> tuple[int, dict[str, list[PositionLoss]]]:
    """Losses by position at the longest length."""
    return position.position_curves(group(results))


def evaluation_points(
    results: Sequence[Result],
) -> dict[tuple[str, str, str, int], evaluations.Found]:
    """Values of lm-eval by task, metric, arm and length."""
    return evaluations.evaluation_points(group(results))


def overview_of(results: Sequence[Result]) -> list[Block]:
    """Answers, comparisons and notes of one group in the overview."""
    own = group(results)
    found = comparisons_of(own)
    every = comparisons.statements(own, found, len(tested(found)))
    sentences = [Text(text) for text in every.values()]
    return [*sentences, *comparisons.comparison_tables(own, found), *overview._data_notes(own)]


def comparisons_of(own: Group) -> list[Compared]:
    """The comparisons of one group, as a family of their own."""
    return compared([own])[0]


def comparison(own: Group, arm: str, other: str = "", length: int = 0) -> Compared:
    """One of the comparisons of a group; without `other` the trend of the arm."""
    (found,) = [
        one
        for one in comparisons_of(own)
        if (one.about.arm, one.about.other) == (arm, other)
        and (not length or one.about.lengths == [length])
    ]
    return found


def tables(blocks: Sequence[Block]) -> list[Table]:
    """The tables among blocks."""
    return [block for block in blocks if isinstance(block, Table)]


def texts(blocks: Sequence[Block]) -> str:
    """All paragraphs of blocks."""
    return " ".join(block.text for block in blocks if isinstance(block, Text))


def rows_of(blocks: Sequence[Block], head: str) -> list[dict[str, str]]:
    """The rows of the table that has this heading; empty without such a table."""
    return [row for one in tables(blocks) if head in one.head for row in _rows(one)]


def _rows(one: Table) -> list[dict[str, str]]:
    return [
        {h: e if isinstance(e, str) else e.text for h, e in zip(one.head, row, strict=True)}
        for row in one.rows
    ]
