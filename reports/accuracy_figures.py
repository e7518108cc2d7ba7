"""Scores against length and against trainable parameters, with the linear baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from reports.axes import draw_series, empty_note, legend, over_length
from reports.files import ACCURACY, Result
from reports.panels import panels
from reports.stats import Point, Series, measure, one_rate_an_arm, score_points
from reports.style import COLUMN, GREY, ArmStyle, arm_styles, is_baseline, styled
from reports.text import shortened

_FILL = 0.6  # the least share of the axis that data must have where the majority line is drawn


@styled
def accuracy_by_length(results: Sequence[Result]) -> Figure:
    """Test score against length, one line an arm, 95 % intervals, baseline and majority."""
    results = one_rate_an_arm([r for r in results if r["kind"] == "train"])
    every = arm_styles(results)
    styles = {s: every[s] for s in every if not is_baseline(s, results)}
    series = score_points(results)
    canvas = over_length(1, results, every, COLUMN * 1.25, 2.75)
    axes = canvas.panels[0]
    axes.set_ylabel(f"Test {measure(results)}")
    draw_series(axes, series, styles, dots=True)
    more = _draw_baseline(axes, series, results)
    more += _accuracy_limits(axes, series, results)
    if not series:
        empty_note(axes, "no test was measured")
    legend(canvas.figure, [styles[arm] for arm in styles if arm in series], more)
    return canvas.figure


def _draw_baseline(axes: Axes, series: Series, results: Sequence[Result]) -> list[Line2D]:
    """The linear model on words as a dashed grey line with its interval as a band."""
    handles = []
    for arm, points in series.items():
        if not is_baseline(arm, results):
            continue
        x = [p.length for p in points]
        axes.fill_between(
            x, [p.low for p in points], [p.high for p in points], color="#9a9a9a", alpha=0.2, lw=0
        )
        label = f"{shortened(arm, 30)} (linear)"
        mark = "_" if len(points) == 1 else ""
        handles += axes.plot(
            x, [p.value for p in points], "--", color=GREY, marker=mark, label=label, zorder=1.5,
            gid=f"arm:{arm}",
        )  # fmt: skip
    return handles


def _accuracy_limits(axes: Axes, series: Series, results: Sequence[Result]) -> list[Line2D]:
    """Limits that show the data; the majority line where it fits, else a note that says where."""
    points = [point for arm in series.values() for point in arm]
    low = min((p.low for p in points), default=0.0)
    high = max((p.high for p in points), default=1.0)
    margin = max(0.02, 0.06 * (high - low))
    shares = [float(r["majority"]) for r in results if r["majority"] is not None]
    shares = shares if measure(results) == ACCURACY else []
    handles: list[Line2D] = []
    if shares and points:
        majority = median(shares)
        if (high - low) >= _FILL * (high - majority):
            low = min(low, majority)
            handles.append(axes.axhline(majority, color=GREY, lw=0.8, ls=":", zorder=1.5))
            handles[0].set_label("majority class")
        else:
            axes.annotate(
                f"majority class: {majority:.2f}, below this axis", (0.99, 0.02),
                xycoords="axes fraction", ha="right", va="bottom", fontsize=5.8, color=GREY,
            )  # fmt: skip
            margin = max(margin, 0.1 * (high - low))
    axes.set_ylim(max(-0.02, low - margin), min(1.02, high + max(0.02, 0.06 * (high - low))))
    return handles


@styled
def accuracy_by_parameters(results: Sequence[Result]) -> Figure:
    """Test score against trainable parameters, a panel a length, one marker an arm."""
    trained = one_rate_an_arm([r for r in results if r["kind"] == "train"])
    series = score_points(trained)
    sizes = {str(r["arm"]): int(r["trainable_params"]) for r in trained if r["trainable_params"]}
    styles = {arm: style for arm, style in arm_styles(trained).items() if arm in sizes}
    lengths = sorted({p.length for arm in styles for p in series.get(arm, [])})
    grid = panels(len(lengths), height=1.75)
    places = _side_by_side({arm: sizes[arm] for arm in styles})
    low, high = min(places.values(), default=1.0), max(places.values(), default=1.0)
    room = max(1.6, (high / low) ** 0.12)
    more: list[Line2D] = []
    for axes, length in zip(grid.panels, lengths, strict=False):
        axes.set_title(f"{length} tokens")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low / room, high * room)
        for arm, style in styles.items():
            for point in series.get(arm, []):
                if point.length == length:
                    _marker(axes, places[arm], point, style)
        for arm, points in series.items():
            for point in points:
                if point.length == length and is_baseline(arm, trained):
                    line = axes.axhline(
                        point.value, ls="--", color=GREY, lw=0.9, zorder=1, gid=f"arm:{arm}"
                    )
                    line.set_label(f"{shortened(arm, 30)} (linear)")
                    more = [line]
    if lengths:
        grid.note_failures([[r for r in trained if r["length"] == n] for n in lengths])
    grid.name("Trainable parameters", f"Test {measure(trained)}")
    if not lengths:
        empty_note(grid.panels[0], "no test was measured")
    legend(grid.figure, list(styles.values()), more, lines=False)
    return grid.figure


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
    axes.errorbar(
        [place], [point.value], [[point.value - point.low], [point.high - point.value]], fmt="none",
        ecolor=style.colour, elinewidth=0.7, capsize=1.6, alpha=0.8,
    )  # fmt: skip
    looks = {**style.lines, "linestyle": "none"}
    axes.plot([place], [point.value], gid=f"arm:{style.label}", **looks)


def _short(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g} {letter}"
    return f"{value:g}"
