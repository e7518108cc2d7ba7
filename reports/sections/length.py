"""Where the length comes from: tests at other lengths, and the position of the evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from harness.core.inference import LEVEL
from harness.core.methods import BASELINES
from harness.core.result import POSITION_PARTS, Evaluation, EvaluationKind
from reports.axes import details_of, grid, legend, marked, point_label, possible
from reports.blocks import (
    Block,
    Entry,
    Failed,
    Table,
    joined,
    score_text,
    section,
    span,
    wrapped,
)
from reports.effective import not_worse
from reports.figures.describe import Axis, Chart, Colours, Curve, Panel, Tile, around, ends
from reports.frame import ByText, Result
from reports.groups import Group
from reports.page import Report
from reports.seeds import failures, places  # fmt: skip
from reports.stats import Point, Series, baseline_of, score_points
from reports.style import arm_styles, baseline_key, baseline_lines, baseline_look, picture

_MOST = 8
"""The most heat maps of a figure; the table has all arms."""

Matrix = dict[str, dict[int, dict[int, Point]]]
"""By arm, length of training and length of test."""


@section(
    order=28, anchor="length", title="Where the length comes from",
    figures=["length-matrix", "evidence-position"],
)  # fmt: skip
def where_the_length_comes_from(report: Report) -> list[Block]:
    """The matrix of training and test lengths and scores by evidence position."""
    blocks: list[Block] = []
    for group in report.training:
        blocks += [*_matrix_blocks(group), *_position_blocks(group)]
    return blocks


def _of(result: Result, kind: EvaluationKind) -> list[Evaluation]:
    return [one for one in result["further"] if one.kind == kind]


def _as_test(result: Result, one: Evaluation, length: int | None) -> Result:
    """A further evaluation as the test of a cell at `length`."""
    return result.changed(
        length=length, status=one.status, score=one.value, score_low=one.low, score_high=one.high,
        texts=_ByPlace(one.scores),
    )  # fmt: skip


@dataclass(frozen=True)
class _ByPlace(ByText):
    """Values of test texts by their place in the task, since ids may differ between lengths."""

    scores: Iterable[float | None]

    @cached_property
    def values(self) -> dict[str, float]:
        return {str(k): value for k, value in enumerate(self.scores) if value is not None}


# Trained at one length, tested at another.


def tests_of(group: Group, trained: int) -> list[Result]:
    """The tests of all models trained at a length, each as a cell of the test's length."""
    cells = [r for r in group.trained if r["length"] == trained and r["method"] not in BASELINES]
    own = [r.changed(texts=_ByPlace(r["texts"].values.values())) for r in cells]
    return own + [_as_test(r, one, one.length) for r in own for one in _of(r, "length")]


def length_matrix(group: Group) -> Matrix:
    """Mean scores over common seeds; empty if no model was tested at another length."""
    found: Matrix = {}
    if any(_of(r, "length") for r in group.trained):
        for trained in sorted({int(r["length"]) for r in group.trained}):
            for arm, points in score_points(tests_of(group, trained)).items():
                found.setdefault(arm, {})[trained] = {p.length: p for p in points}
    return found


def reached(group: Group, trained: int) -> dict[str, int | None]:
    """By arm: up to which length a model is not worse than at its own length, by the margin.

    None: not decided. Bonferroni's correction over the arms and the lengths of training.
    """
    metric, margin = group.metric, group.margin
    rows = {(r["arm"], r["length"]) for r in group.trained if r["method"] not in BASELINES}
    found = {}
    for arm, at in places(tests_of(group, trained)).items():
        lengths = [n for n in sorted(at) if n >= trained and at[n].finished]
        if len(lengths) > 1 and lengths[0] == trained:
            found[arm] = not_worse(at, lengths, metric, margin, LEVEL / len(rows))
    return found


def _failed(group: Group, arm: str, trained: int, tested: int) -> str:
    """The statuses of an arm's failed tests, `oom`; empty without a failure."""
    own = [r for r in tests_of(group, trained) if (r["arm"], r["length"]) == (arm, tested)]
    return _statuses([*_cells(group, arm, trained), *own])


def _cells(group: Group, arm: str, length: int) -> list[Result]:
    return [r for r in group.trained if (r["arm"], r["length"]) == (arm, length)]


def _statuses(results: Iterable[Result]) -> str:
    return "/".join(dict.fromkeys(str(r["status"]) for r in failures(results)))


def _lengths(matrix: Matrix) -> tuple[list[int], list[int]]:
    """The lengths of training and of tests."""
    rows = {trained for own in matrix.values() for trained in own}
    columns = {n for own in matrix.values() for tested in own.values() for n in tested}
    return sorted(rows), sorted(columns | rows)


def _matrix_blocks(group: Group) -> list[Block]:
    matrix = length_matrix(group)
    if not matrix:
        return []
    trained, tested = _lengths(matrix)
    rows: list[list[Entry]] = []
    values = []
    holds = {length: reached(group, length) for length in trained}
    for arm, own in matrix.items():
        for length in trained:
            known = holds[length].get(arm, 0)
            row: list[Entry] = [
                arm,
                str(length),
                "not decided" if known is None else f"{known or ''}",
            ]
            for n in tested:
                failed, point = _failed(group, arm, length, n), own.get(length, {}).get(n)
                text = joined(_point_text(point) if point else "", failed, by=", ")
                row.append(text if point or not failed else Failed(text))
                values += [f"{arm}, {length} to {n}: {text}"] if text else []
            rows.append(row)
    heads = [f"tested at {n}" for n in tested]
    what = f"{group.metric.named('Test')} by length of training (rows) and of the test (columns)"
    caption = joined(
        f"{what}, in tokens, means over common seeds. Each row is one training; a column has the "
        f"same test texts in all rows.",
        "Lighter is better. Crosses: failed tests.",
        f"The first {_MOST} arms; the table has all." if len(matrix) > _MOST else "",
        group.notes,
        by=" ",
    )
    alt = f"{what}. {'; '.join(values)}."
    head = ["Arm", "Trained at", "Holds up to", *heads]
    about = group.about(
        f"{what}, with 95 % intervals. Holds up to: the longest test up to which the score is not "
        f"worse than at the length of training by {group.margin:g} or more"
    )
    return [
        picture("length-matrix", group, matrix_figure(group), caption, alt),
        Table(about, head, rows, frozenset(head[1:])),
    ]


def _point_text(point: Point) -> str:
    text = score_text(point.value)
    if not point.without_interval:
        text += f" ({score_text(point.low)} to {score_text(point.high)})"
    return joined(text, point.note, by=", ")


def matrix_figure(group: Group) -> Chart:
    """A heat map for each arm; all share one colour scale. Better is lighter."""
    matrix = dict(list(length_matrix(group).items())[:_MOST])
    trained, tested = _lengths(matrix)
    values = [p.value for own in matrix.values() for at in own.values() for p in at.values()] or [0]
    x = Axis(
        limits=(-0.5, max(1, len(tested)) - 0.5),
        ticks=tuple((float(k), str(n)) for k, n in enumerate(tested)),
        grid=False,
    )
    y = Axis(
        limits=(max(1, len(trained)) - 0.5, -0.5),
        ticks=tuple((float(k), str(n)) for k, n in enumerate(trained)),
        grid=False,
    )
    panels = []
    for arm, own in matrix.items():
        tiles = tuple(
            _tile(group, arm, n, m, own.get(n, {}).get(m), (row, column))
            for row, n in enumerate(trained)
            for column, m in enumerate(tested)
        )
        panels.append(Panel(x, y, wrapped(arm, 24), tiles=tiles, shaded="#ececec"))
    height = 0.6 + 0.26 * len(trained)
    chart = grid(panels or [Panel()], height, "Tested at (tokens)", "Trained at (tokens)")
    limits = (min(values), max(max(values), min(values) + 0.01))
    label = group.metric.named("Test", "\n")
    return replace(chart, colours=Colours(limits, label, group.metric.higher_is_better))


def _tile(
    group: Group, arm: str, trained: int, tested: int, point: Point | None, place: tuple[int, int]
) -> Tile:
    failed = _failed(group, arm, trained, tested)
    text = score_text(point.value) if point else f"×\n{failed}" if failed else ""
    about = joined(
        arm, f"trained at {trained}, tested at {tested} tokens",
        _point_text(point) if point else failed or "not run", by="\n",
    )  # fmt: skip
    return Tile(
        *place, point.value if point else None, text,
        "value" if point else "failed" if failed else "other",
        f"value:{arm}:{trained}:{tested}", about,
    )  # fmt: skip


# The position of the evidence.


def position_series(group: Group) -> dict[int, Series]:
    """By length and arm: the mean score where the evidence is at a position (`Point.length`)."""
    found = {}
    for length in sorted({int(r["length"]) for r in group.trained}):
        cells = [r for r in group.trained if r["length"] == length]
        parts = [_as_test(r, one, one.position) for r in cells for one in _of(r, "position")]
        if parts:
            failed = [r for r in cells if not r.ok]
            found[length] = score_points([*parts, *failed])
    return found


def _position_blocks(group: Group) -> list[Block]:
    found = position_series(group)
    if not found:
        return []
    heads = [_part_name(part) for part in range(POSITION_PARTS)]
    rows: list[list[Entry]] = []
    values = []
    for length, series in found.items():
        for arm, points in series.items():
            known = {_part(p, length): p for p in points}
            texts = [_point_text(known[k]) if k in known else "" for k in range(POSITION_PARTS)]
            rows.append([arm, str(length), *texts])
            own = ", ".join(f"{score_text(p.value)} at {_part_name(k)}" for k, p in known.items())
            values.append(f"{arm} at {length} tokens: {own}")
    what = f"{group.metric.named('Test')} by the position of the evidence"
    counts = [int(one.examples or 0) for r in group.trained for one in _of(r, "position")]
    caption = joined(
        f"{what}, in per cent of the text. Points: means over common seeds. Bars: 95 % intervals; "
        f"a part has {span([str(n) for n in sorted(set(counts))])} test texts.",
        group.curriculum_note,
        by=" ",
    )
    alt = f"{what}. {'; '.join(values)}."
    head = ["Arm", "Length", *heads]
    return [
        picture("evidence-position", group, evidence_figure(group), caption, alt),
        Table(group.about(f"{what}, with 95 % intervals"), head, rows, frozenset(head[1:]), True),
    ]


def _part(point: Point, length: int) -> int:
    """The part of the text with a position, which is the middle of the part."""
    return min(POSITION_PARTS - 1, POSITION_PARTS * point.length // length)


def _part_name(part: int) -> str:
    return f"{100 * part // POSITION_PARTS}–{100 * (part + 1) // POSITION_PARTS} %"


def evidence_figure(group: Group) -> Chart:
    """Score by the position of the evidence, one panel for each length."""
    found, details = position_series(group), details_of(group.trained)
    styles, looks = arm_styles(group.trained), baseline_lines(group.trained)
    bases: dict[str, str] = {}
    notes: dict[str, list[str]] = {}
    shown: dict[int, list[Curve]] = {}
    for length, series in found.items():
        for place, arm in enumerate(arm for arm in styles if arm in series):
            points, base = series[arm], baseline_of(arm, group.trained)
            shift = 1.2 * (place - len(series) / 2)  # so that bars do not overlap
            x = tuple(100 * (_part(p, length) + 0.5) / POSITION_PARTS + shift for p in points)
            y, low, high = (
                tuple(float(getattr(p, name)) for p in points) for name in ("value", "low", "high")
            )
            labels = tuple(
                joined(
                    point_label(
                        arm, p, place=f"{length} tokens, evidence at {_part_name(_part(p, length))}"
                    ),
                    details(arm, length),
                    by="\n",
                )
                for p in points
            )
            look = baseline_look(looks[arm]) if base else styles[arm]
            interval = ((), ()) if base else (low, high)
            shown.setdefault(length, []).append(Curve(arm, look, x, y, *interval, labels))
            if base:
                bases[arm] = base
            else:
                notes.setdefault(arm, []).extend(p.note for p in points)
    x_axis = Axis(limits=(0.0, 100.0), ticks=tuple((float(n), str(n)) for n in range(0, 101, 25)))
    limits = around(ends(curve for own in shown.values() for curve in own))
    y_axis = Axis(limits=possible(limits, group.metric))
    panels = [Panel(x_axis, y_axis, f"{n} tokens", tuple(own)) for n, own in shown.items()]
    keys = legend(
        [marked(styles[arm], notes[arm]) for arm in styles if arm in notes],
        [baseline_key(arm, method, looks[arm]) for arm, method in bases.items()],
    )
    label = group.metric.named("Test")
    return grid(panels or [Panel()], 1.9, "Position of the evidence (%)", label, keys)
