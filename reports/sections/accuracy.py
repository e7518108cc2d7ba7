"""Scores by sequence length, with baselines and the best constant answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from harness.core.inference import FEWEST_SEEDS
from harness.core.methods import TFIDF, ZERO_SHOT
from reports.axes import (
    baseline_curves,
    details_of,
    legend,
    marked,
    over_length,
    possible,
    series_curves,
)
from reports.blocks import Block, Picture, Table, joined, listed, score_text, section, span
from reports.compare import Compared
from reports.effective import effective_lengths
from reports.figures.describe import GREY, Axis, Chart, Curve, Key, Level, Look, Note, Panel
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.sections.comparisons import trend_table
from reports.seeds import failures
from reports.stats import Series, baseline_of, trials
from reports.style import COLUMN, arm_styles, baseline_label, picture

CONSTANT_LABEL = "best constant answer (test)"
"""The one answer with the highest score on the test texts: an arm at or below this score has not
been shown to learn anything."""

_FILL = 0.6
"""The least share of the axis that arms must have if the best constant answer is drawn."""
_FAR_BY_TEXT, _FAR = 0.3, 0.6
"""The least share of the axis that arms must have if the zero-shot backbone is drawn: a language
model has zero-shot skill, a new classifier guesses."""


class OffAxis(NamedTuple):
    """A baseline outside the axis: its label, its lowest and highest score, on which side."""

    label: str
    low: float
    high: float
    below: bool

    @property
    def text(self) -> str:
        """The note in the figure."""
        values = span([f"{self.low:.2f}", f"{self.high:.2f}"])
        return f"{self.label}: {values}, {'below' if self.below else 'above'} this axis"


@section(order=20, anchor="accuracy", title="Score by length", figures=["accuracy-length"])
def score_by_length(report: Report) -> list[Block]:
    """Test score by length with intervals, the trend and the effective length of every arm."""
    blocks: list[Block] = []
    for group in report.training:
        if group.points or not any(r.ok for r in group.results):
            blocks.append(_length_picture(group))
            blocks += _trends(group, report.comparisons[group.key])
    return blocks


def interval_caption(group: Group) -> str:
    """How the intervals of a figure of scores were made."""
    seeds = max((len(p.seeds) for s in group.points.values() for p in s), default=0)
    texts = f"95 % {group.metric.interval} intervals over test texts"
    if seeds < 2:
        return f"Bars: {texts}; one seed."
    if seeds < FEWEST_SEEDS:
        return f"Points: means of two seeds. Bars: {texts}; two seeds give no interval over seeds."
    return (
        "Points: means over seeds; small dots: seeds. Bars: 95 % intervals over test texts and "
        "seeds (both variances estimated jointly, Student's t)."
    )


def values_alt(series: Series, cells: Sequence[Result], what: str, text: Any = score_text) -> str:
    """Alternative text: every value by arm and length, then the failures."""
    parts = [
        f"{arm}: " + ", ".join(
            f"{text(p.value)} at {p.length}" + (f" ({p.note})" if p.note else "") for p in points
        )
        for arm, points in series.items()
    ]  # fmt: skip
    failed = dict.fromkeys(f"{r['arm']} at {r['length']} ({r['status']})" for r in failures(cells))
    return joined(
        f"{what} {'; '.join(parts) or 'No value'}.",
        f"Failed: {'; '.join(failed)}." if failed else "",
        by=" ",
    )


def constant_points(results: Sequence[Result]) -> dict[int, float]:
    """The test score of the best constant answer by length; empty for several metrics."""
    if len({r["metric"] for r in results if r["score"] is not None}) > 1:
        return {}
    found: dict[int, float] = {}
    for r in results:
        if r["majority"] is not None:
            length = int(r["length"])
            found[length] = max(found.get(length, 0.0), float(r["majority"]))
    return dict(sorted(found.items()))


def far_off(series: Series, results: Sequence[Result], by_text: bool) -> dict[str, OffAxis]:
    """Zero-shot backbones so far from the arms that an axis with both would flatten the arms."""
    bases = [arm for arm in series if baseline_of(arm, results) == ZERO_SHOT]
    rest = [p for arm, points in series.items() if arm not in bases for p in points]
    if not rest:
        return {}
    low, high = min(p.low for p in rest), max(p.high for p in rest)
    found = {}
    for arm in bases:
        values = [p.value for p in series[arm]]
        least, most = min(values), max(values)
        room = max(high, most) - min(low, least)
        if (high - low) < (_FAR_BY_TEXT if by_text else _FAR) * room:
            found[arm] = OffAxis(baseline_label(arm, ZERO_SHOT), least, most, high > most)
    return found


def baseline_caption(group: Group) -> str:
    """What the grey lines are."""
    cells = [r for r in group.results if r["method"] == TFIDF]
    texts = sorted({int(r["examples"]) for r in cells if r["examples"]})
    whose = listed(list(dict.fromkeys(str(r["backbone"]) for r in cells if r["backbone"])))
    size = f", {span([f'{n:,}' for n in texts])} training texts" if texts else ""
    cut = f", cut by the tokenizer of {whose}" if whose else ""
    zero = any(r["method"] == ZERO_SHOT for r in group.results)
    off = far_off(group.points, group.results, group.metric.by_text).values()
    return joined(
        f"Grey dashed: TF-IDF with logistic regression{size}{cut}." if cells else "",
        "Grey dash-dotted: zero-shot backbone." if zero and not off else "",
        *(f"Zero-shot backbone outside the axis: {one.text}." for one in off),
        by=" ",
    )


def constant_caption(group: Group) -> str:
    """The scores of the best constant answer."""
    points = constant_points(group.results)
    values = ", ".join(f"{score_text(v)} at {n}" for n, v in points.items())
    if len({score_text(v) for v in points.values()}) == 1:
        values = score_text(next(iter(points.values())))
    return f"Best constant answer on the test texts: {values}." if points else ""


def _length_picture(group: Group) -> Picture:
    what = group.metric.named("Test")
    several = max((len(rates) for rates in trials(group.results).values()), default=0) > 1
    notes = joined(constant_caption(group), group.notes, by=" ")
    caption = joined(
        f"{what} by sequence length.",
        interval_caption(group) if group.points else "",
        baseline_caption(group),
        "Learning rates: the lowest validation loss." if several else "",
        "Crosses below the axis: failed cells." if failures(group.results) else "",
        notes,
        by=" ",
    )
    alt = values_alt(group.points, group.results, f"{what} by length in tokens.")
    chart = accuracy_by_length(group)
    return picture("accuracy-length", group, chart, caption, joined(alt, notes, by=" "))


def accuracy_by_length(group: Group) -> Chart:
    """Test score by length: one line for each arm, 95 % intervals, baselines."""
    results, series = group.trained, group.points
    every = arm_styles(results)
    styles = {s: every[s] for s in every if not baseline_of(s, results)}
    off = far_off(series, results, group.metric.by_text)
    details = details_of(results)
    curves = series_curves(series, styles, dots=True, details=details)
    shown = {arm: points for arm, points in series.items() if arm not in off}
    lines, more = baseline_curves(shown, results, details)
    panel = Panel(
        y=Axis(group.metric.named("Test")),
        curves=(*curves, *lines),
        empty="" if series else "no test was measured",
    )
    panel, keys = _limited(panel, shown, group, list(off.values()))
    canvas = over_length([panel], results, every, COLUMN * 1.25, 2.75, group.reach)
    shown_styles = [marked(styles[a], [p.note for p in series[a]]) for a in styles if a in series]
    return replace(canvas, legend=legend(shown_styles, [*more, *keys]))


def _limited(
    panel: Panel, series: Series, group: Group, off: list[OffAxis]
) -> tuple[Panel, list[Key]]:
    """The panel with limits that show the data, and the best constant answer or its place."""
    points = [point for arm in series.values() for point in arm]
    low = min((p.low for p in points), default=0.0)
    high = max((p.high for p in points), default=1.0)
    margin = max(0.02, 0.06 * (high - low))
    constant = constant_points(group.trained)
    keys: list[Key] = []
    if constant and points:
        least, most = min(constant.values()), max(constant.values())
        # Above the arms it is always drawn: then no arm has learned anything.
        if (high - low) >= _FILL * (high - least):
            low, high = min(low, least), max(high, most)
            panel = _with_constant(panel, constant)
            keys.append(Key(CONSTANT_LABEL, CONSTANT_LABEL, _CONSTANT))
        else:
            off = [OffAxis(CONSTANT_LABEL, least, most, below=True), *off]
    counts = {side: sum(one.below is side for one in off) for side in (True, False)}
    under, over = (max(margin, 0.1 * counts[side] * (high - low)) for side in (True, False))
    limits = possible((low - under, high + over), group.metric)
    notes = tuple(Note(one.text, upper=not one.below) for one in off)
    return replace(panel, y=replace(panel.y, limits=limits), notes=notes), keys


_CONSTANT = Look(GREY, ".", ":", size=2.5, width=0.8, edge=1.0, behind=True)


def _with_constant(panel: Panel, points: Mapping[int, float]) -> Panel:
    if len(set(points.values())) == 1:
        value = next(iter(points.values()))
        level = Level(value, _CONSTANT, CONSTANT_LABEL, "constant")
        return replace(panel, levels=(*panel.levels, level))
    x, y = tuple(float(n) for n in points), tuple(points.values())
    labels = tuple(f"{CONSTANT_LABEL}\n{n} tokens\n{score_text(v)}" for n, v in points.items())
    line = Curve(CONSTANT_LABEL, _CONSTANT, x, y, labels=labels, kind="constant", mark="constant")
    return replace(panel, curves=(*panel.curves, line))


def _trends(group: Group, found: Sequence[Compared]) -> list[Table]:
    """The change of every arm over length, with its effective length."""
    lengths = effective_lengths(group)

    def text(arm: str) -> str:
        known, last = lengths.get(arm), max(group.places[arm])
        return "not decided" if known is None else f"{known}{' (longest)' * (known == last)}"

    return trend_table(group, found, text)
