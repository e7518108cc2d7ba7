"""Scores against length and against trainable parameters, with what they are held against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from reports.axes import draw_series, empty_note, legend, marked, over_length
from reports.files import REFERENCES, Result
from reports.metrics import metric_of
from reports.panels import panels
from reports.reach import noted, reach_notes
from reports.references import (
    CONSTANT_LABEL,
    constant_points,
    draw_constant,
    draw_references,
    far_off,
    reference_line,
    reference_lines,
    spanned,
)
from reports.stats import Point, Series, one_rate_an_arm, reference_of, score_points
from reports.style import COLUMN, GREY, ArmStyle, arm_styles, styled

_FILL = (
    0.6  # the least share of the axis that data must have where the best constant answer is drawn
)


@styled
def accuracy_by_length(results: Sequence[Result]) -> Figure:
    """Test score against length, one line an arm, 95 % intervals, references."""
    results = one_rate_an_arm([r for r in results if r["kind"] == "train"])
    every = arm_styles(results)
    styles = {s: every[s] for s in every if not reference_of(s, results)}
    series = score_points(results)
    off = far_off(series, results)
    canvas = over_length(1, results, every, COLUMN * 1.25, 2.75, reach_notes(results))
    axes = canvas.panels[0]
    axes.set_ylabel(metric_of(results).named("Test"))
    draw_series(axes, series, styles, dots=True)
    shown = {arm: points for arm, points in series.items() if arm not in off}
    more = draw_references(axes, shown, results)
    more += _limits(axes, shown, results, list(off.values()))
    if not series:
        empty_note(axes, "no test was measured")
    shown_styles = [marked(styles[a], [p.note for p in series[a]]) for a in styles if a in series]
    legend(canvas.figure, shown_styles, more)
    return canvas.figure


def _limits(
    axes: Axes, series: Series, results: Sequence[Result], notes: Sequence[str]
) -> list[Line2D]:
    """Limits that show the data; the best constant answer where it fits, else a note of where.

    `notes` name what lies beyond the axis, and say on which side.
    """
    metric = metric_of(results)
    points = [point for arm in series.values() for point in arm]
    low = min((p.low for p in points), default=0.0)
    high = max((p.high for p in points), default=1.0)
    margin = max(0.02, 0.06 * (high - low))
    constant = constant_points(results)
    below = [note for note in notes if note.endswith("below this axis")]
    above = [note for note in notes if note not in below]
    handles: list[Line2D] = []
    if constant and points:
        least, most = min(constant.values()), max(constant.values())
        # Above the arms it is drawn whatever it costs: none of them has learned anything then.
        if (high - low) >= _FILL * (high - least):
            low, high = min(low, least), max(high, most)
            handles.append(draw_constant(axes, constant))
        else:
            below.insert(0, f"{CONSTANT_LABEL}: {spanned(constant)}, below this axis")
    for texts, place, side, away in ((below, 0.02, "bottom", 7.5), (above, 0.98, "top", -7.5)):
        for row, text in enumerate(texts):
            axes.annotate(
                text, (0.99, place), xycoords="axes fraction", ha="right", va=side, fontsize=5.8,
                xytext=(0, away * row), textcoords="offset points", color=GREY,
            )  # fmt: skip
    under, over = (max(margin, 0.1 * len(texts) * (high - low)) for texts in (below, above))
    top = math.inf if metric.most is None else metric.most + 0.02
    axes.set_ylim(max(-0.02, low - under), min(top, high + over))
    return handles


@styled
def accuracy_by_parameters(results: Sequence[Result]) -> Figure:
    """Test score against trainable parameters, a panel a length, one marker an arm."""
    trained = one_rate_an_arm([r for r in results if r["kind"] == "train"])
    series = score_points(trained)
    sizes = trained_sizes(trained)
    styles = {arm: style for arm, style in arm_styles(trained).items() if arm in sizes}
    lengths = sorted({p.length for arm in styles for p in series.get(arm, [])})
    grid = panels(len(lengths), height=1.75)
    places = _side_by_side({arm: sizes[arm] for arm in styles})
    low, high = min(places.values(), default=1.0), max(places.values(), default=1.0)
    room = max(1.6, (high / low) ** 0.12)
    off, notes = far_off(series, trained), reach_notes(trained)
    more: dict[str, Line2D] = {}
    looks = reference_lines(trained)
    for axes, length in zip(grid.panels, lengths, strict=False):
        axes.set_title(noted(length, notes, " tokens"))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low / room, high * room)
        for arm, style in styles.items():
            for point in series.get(arm, []):
                if point.length == length:
                    _marker(axes, places[arm], point, style)
        for arm, points in series.items():
            method = reference_of(arm, trained)
            for point in points if method and arm not in off else ():
                if point.length == length:
                    more[arm] = reference_line(axes, arm, str(method), point.value, looks[arm])
    if lengths:
        grid.note_failures([[r for r in trained if r["length"] == n] for n in lengths])
    grid.name("Trainable parameters", metric_of(trained).named("Test", "\n"))
    if not lengths:
        empty_note(grid.panels[0], "no test was measured")
    entries = [marked(style, [p.note for p in series.get(a, [])]) for a, style in styles.items()]
    legend(grid.figure, entries, list(more.values()), lines=False)
    return grid.figure


def trained_sizes(results: Sequence[Result]) -> dict[str, int]:
    """Trainable parameters of each arm; references train none of the backbone."""
    return {
        str(r["arm"]): int(r["trainable_params"])
        for r in results
        if r["trainable_params"] and r["method"] not in REFERENCES
    }


def _side_by_side(sizes: dict[str, int]) -> dict[str, float]:
    """Where markers stand: arms of nearly one size are spread around it, as they would overlap."""
    places: dict[str, float] = {}
    decades = math.log10(max(sizes.values(), default=1) / min(sizes.values(), default=1))
    step = 10 ** (0.055 * max(decades, 0.3))
    group: list[str] = []
    for arm in sorted(sizes, key=lambda name: sizes[name]):
        if group and sizes[arm] > sizes[group[0]] * step:
            group = []
        group.append(arm)
        middle = math.exp(fmean(math.log(sizes[name]) for name in group))
        for k, name in enumerate(sorted(group, key=list(sizes).index)):
            places[name] = middle * step ** (k - (len(group) - 1) / 2) if len(group) > 1 else middle
    return places


def _marker(axes: Axes, place: float, point: Point, style: ArmStyle) -> None:
    if not point.without_interval:
        axes.errorbar(
            [place], [point.value], [[point.value - point.low], [point.high - point.value]],
            fmt="none", ecolor=style.colour, elinewidth=0.7, capsize=1.6, alpha=0.8,
        )  # fmt: skip
    looks = {**style.lines, "linestyle": "none"}
    axes.plot([place], [point.value], gid=f"arm:{style.label}", **looks)


def _short(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g} {letter}"
    return f"{value:g}"
