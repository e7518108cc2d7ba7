"""Scores by sequence length, and losses by position within the text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.core.inference import FEWEST_SEEDS
from harness.core.methods import TFIDF, ZERO_SHOT
from harness.core.result import PositionLoss
from reports.axes import Grid, draw_series, empty_note, legend, marked, over_length
from reports.blocks import Block, Entry, Picture, Table, joined, listed, score_text, section, span
from reports.compare import Compared, effective_lengths
from reports.frame import Result
from reports.groups import Group, reach_caption
from reports.page import Report
from reports.sections.comparisons import trend_table
from reports.stats import (
    Series,
    arms,
    baseline_of,
    comparable_cells,
    failures,
    places,
    trials,
)
from reports.style import (
    COLUMN,
    GREY,
    arm_styles,
    baseline_handle,
    baseline_label,
    baseline_lines,
    draw_baselines,
    new_figure,
    picture,
    styled,
)

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
    figure = accuracy_by_length(group)
    return picture("accuracy-length", group, figure, caption, joined(alt, notes, by=" "))


@styled
def accuracy_by_length(group: Group) -> Figure:
    """Test score by length: one line for each arm, 95 % intervals, baselines."""
    results, series = group.trained, group.points
    every = arm_styles(results)
    styles = {s: every[s] for s in every if not baseline_of(s, results)}
    off = far_off(series, results, group.metric.by_text)
    canvas = over_length(1, results, every, COLUMN * 1.25, 2.75, group.reach)
    axes = canvas.panels[0]
    axes.set_ylabel(group.metric.named("Test"))
    draw_series(axes, series, styles, dots=True)
    shown = {arm: points for arm, points in series.items() if arm not in off}
    more = draw_baselines(axes, shown, results)
    more += _limits(axes, shown, group, list(off.values()))
    if not series:
        empty_note(axes, "no test was measured")
    shown_styles = [marked(styles[a], [p.note for p in series[a]]) for a in styles if a in series]
    legend(canvas.figure, shown_styles, more)
    return canvas.figure


def _limits(axes: Axes, series: Series, group: Group, off: list[OffAxis]) -> list[Line2D]:
    """Set limits that show the data; draw the best constant answer, or note where it is."""
    points = [point for arm in series.values() for point in arm]
    low = min((p.low for p in points), default=0.0)
    high = max((p.high for p in points), default=1.0)
    margin = max(0.02, 0.06 * (high - low))
    constant = constant_points(group.trained)
    handles: list[Line2D] = []
    if constant and points:
        least, most = min(constant.values()), max(constant.values())
        # Above the arms it is always drawn: then no arm has learned anything.
        if (high - low) >= _FILL * (high - least):
            low, high = min(low, least), max(high, most)
            handles.append(_draw_constant(axes, constant))
        else:
            off = [OffAxis(CONSTANT_LABEL, least, most, below=True), *off]
    texts = {side: [one.text for one in off if one.below is side] for side in (True, False)}
    for below, place, side, away in ((True, 0.02, "bottom", 7.5), (False, 0.98, "top", -7.5)):
        for row, text in enumerate(texts[below]):
            axes.annotate(
                text, (0.99, place), xycoords="axes fraction", ha="right", va=side, fontsize=5.8,
                xytext=(0, away * row), textcoords="offset points", color=GREY,
            )  # fmt: skip
    under, over = (max(margin, 0.1 * len(texts[side]) * (high - low)) for side in (True, False))
    bottom = -math.inf if group.metric.low is None else group.metric.low - 0.02
    top = math.inf if group.metric.high is None else group.metric.high + 0.02
    axes.set_ylim(max(bottom, low - under), min(top, high + over))
    return handles


def _draw_constant(axes: Axes, points: Mapping[int, float]) -> Line2D:
    look: dict[str, Any] = {"color": GREY, "lw": 0.8, "ls": ":", "zorder": 1.5}
    if len(set(points.values())) == 1:
        line = axes.axhline(next(iter(points.values())), **look)
    else:
        (line,) = axes.plot(list(points), list(points.values()), marker=".", ms=2.5, **look)
    line.set_label(CONSTANT_LABEL)
    line.set_gid("constant")
    return line


def _trends(group: Group, found: Sequence[Compared]) -> list[Table]:
    """The change of every arm over length, with its effective length."""
    lengths = effective_lengths(group)

    def text(arm: str) -> str:
        known, last = lengths.get(arm), max(places(group.trained)[arm])
        return "not decided" if known is None else f"{known}{' (longest)' * (known == last)}"

    return trend_table(group, found, text)


@section(order=30, anchor="position", title="Loss by position", figures=["loss-position"])
def loss_by_position(report: Report) -> list[Block]:
    """Mean test loss by position at the longest length."""
    blocks: list[Block] = []
    for group in report.training:
        longest, curves = position_curves(group)
        if not curves:
            continue
        what = group.metric.named("Test")
        ranges = sorted({(one.start, one.end) for curve in curves.values() for one in curve})
        rows: list[list[Entry]] = []
        for arm, curve in curves.items():
            known = {(one.start, one.end): one.loss for one in curve}
            rows.append([arm, *(score_text(known.get(place)) for place in ranges)])
        heads = [f"{a}–{b - 1}" for a, b in ranges]
        cells = [r for r in group.cells if r["length"] == longest]
        caption = joined(
            f"{what} by position in texts of {longest} tokens, mean over the tokens at these "
            f"positions and over common seeds. Later tokens may also be easier than earlier ones.",
            "Crosses: failed cells." if failures(cells) else "",
            group.curriculum_note,
            reach_caption({n: r for n, r in group.reach.items() if n == longest}),
            by=" ",
        )
        found = places(group.cells, _has_positions)
        notes = {a: at[longest].note for a, at in found.items() if longest in at}
        values = [
            f"{row[0]}{f' ({notes[str(row[0])]})' if notes[str(row[0])] else ''}: "
            + ", ".join(f"{v} at {h}" for v, h in zip(row[1:], heads, strict=True) if v)
            for row in rows
        ]
        alt = f"{what} by position. {'; '.join(values)}."
        blocks += [
            picture("loss-position", group, position_figure(group), caption, alt),
            Table(
                group.about(f"{what} by position"), ["Arm", *heads], rows, frozenset(heads),
                folded=True,
            ),
        ]  # fmt: skip
    return blocks


def position_curves(group: Group) -> tuple[int, dict[str, list[PositionLoss]]]:
    """The longest length with losses by position, and the mean losses of each arm there."""
    cells = comparable_cells(group.cells, _has_positions)
    longest = max((int(r["length"]) for r in cells), default=0)
    cells = [r for r in cells if r["length"] == longest]
    found: dict[str, list[PositionLoss]] = {}
    for arm in arms(cells):
        losses: dict[tuple[int, int], list[float]] = {}
        for one in (one for r in cells if r["arm"] == arm for one in r["by_position"]):
            losses.setdefault((one.start, one.end), []).append(one.loss)
        found[arm] = [
            PositionLoss(start=a, end=b, loss=fmean(losses[a, b])) for a, b in sorted(losses)
        ]
    return longest, found


def _has_positions(result: Result) -> bool:
    return result.ok and bool(result["by_position"])


def middle(one: PositionLoss) -> float:
    """The place of a range on a logarithmic axis; a range from 0 starts at half its end."""
    return math.sqrt(max(one.start, one.end / 2) * one.end)


@styled
def position_figure(group: Group) -> Figure:
    """Mean test loss by position, one line for each arm, at the longest length."""
    results = group.results
    longest, curves = position_curves(group)
    styles, looks = arm_styles(results), baseline_lines(results)
    figure = new_figure(COLUMN * 1.25, 2.75)
    axes = figure.subplots()
    bases = [arm for arm in curves if baseline_of(arm, results) == ZERO_SHOT]
    for arm in [a for a in styles if a in curves]:
        x, y = [middle(one) for one in curves[arm]], [one.loss for one in curves[arm]]
        if arm in bases:
            axes.plot(
                x, y, color=GREY, ls=looks[arm], zorder=1.5, gid=f"arm:{arm}",
                marker="_" if len(x) == 1 else "",
            )  # fmt: skip
        else:
            axes.plot(x, y, gid=f"arm:{arm}", **styles[arm].lines)
    _position_axis(axes, sorted({(p.start, p.end) for curve in curves.values() for p in curve}))
    grid = Grid(figure, [axes], 1)
    grid.name("Position in the text (tokens)", group.metric.named("Test"))
    if curves:
        grid.note_failures([[r for r in group.cells if r["length"] == longest]])
    else:
        empty_note(axes, "no loss by position was measured")
    found = places(group.cells, _has_positions)
    own = [
        marked(styles[arm], [found[arm][longest].note])
        for arm in styles
        if arm in curves and arm not in bases
    ]
    legend(figure, own, [baseline_handle(arm, ZERO_SHOT, looks[arm]) for arm in bases])
    return figure


def _position_axis(axes: Axes, ranges: Sequence[tuple[int, int]]) -> None:
    """A logarithmic axis with a tick for each range of positions."""
    ticks = {middle(PositionLoss(start=a, end=b, loss=0.0)): f"{a}–{b - 1}" for a, b in ranges}
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())

    def name(value: float, _: int | None) -> str:
        return min(ticks.items(), key=lambda known: abs(known[0] - value), default=(0.0, ""))[1]

    axes.xaxis.set_major_formatter(FuncFormatter(name))
    if ticks:
        axes.set_xlim(min(ticks) / 2**0.4, max(ticks) * 2**0.4)
    if len(ticks) > 4:
        axes.tick_params(axis="x", labelrotation=45)
