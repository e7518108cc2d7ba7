"""Parts of figures: axes over length, series, failures, grids of panels, legends."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.core.result import FAILURES
from reports.blocks import shortened
from reports.frame import Result
from reports.groups import Reach
from reports.stats import Series, failures
from reports.style import COLUMN, GREY, PAGE, ArmStyle, new_figure

_ENTRY = 0.12  # inches for each row of a legend
_ROW = 0.13  # inches for each row in the strip of failures


@dataclass(frozen=True)
class Canvas:
    """A row of panels over length; `strips` are the axes below them, where any cell failed."""

    figure: Figure
    panels: list[Axes]
    strips: list[Axes]


def over_length(
    count: int,
    results: Sequence[Result],
    styles: dict[str, ArmStyle],
    width: float,
    height: float,
    reach: dict[int, Reach] | None = None,
) -> Canvas:
    """`count` panels over all lengths of `results`; failed cells are marked in a strip below.

    `reach` marks lengths that few test texts reach. The strip has a row for each arm and status, so
    that failures hide no point and can be read without colour.
    """
    failed = _failed_rows(results, styles)
    lengths = sorted({int(r["length"]) for r in results})
    strip = _ROW * len(failed) + 0.06
    figure = new_figure(width, height + (strip if failed else 0.0))
    ratios = [height, strip] if failed else [height]
    grid = figure.subplots(len(ratios), count, sharex=True, squeeze=False, height_ratios=ratios)
    canvas = Canvas(figure, list(grid[0]), list(grid[1]) if failed else [])
    for axes in canvas.panels:
        length_axis(axes, lengths, named=not failed, reach=reach)
    for place, axes in enumerate(canvas.strips):
        length_axis(axes, lengths, named=True, reach=reach)
        _draw_failures(axes, failed, results, styles)
        axes.tick_params(labelleft=place == 0)
    return canvas


def length_axis(
    axes: Axes, lengths: Sequence[int], named: bool = True, reach: dict[int, Reach] | None = None
) -> None:
    """A logarithmic axis with a tick for each length, and its mark."""
    marks = {length: one.note for length, one in (reach or {}).items()}
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([float(n) for n in lengths]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, marks)))
    if lengths:
        axes.set_xlim(min(lengths) / 2**0.45, max(lengths) * 2**0.45)
    wide = any(n in marks for n in lengths) and len(lengths) > 4
    room = 2 ** (1.2 if wide else 0.6)
    crowded = any(b / a < room for a, b in zip(lengths, list(lengths)[1:], strict=False))
    if crowded or len(lengths) > 7:
        axes.tick_params(axis="x", labelrotation=45)
    if named:
        axes.set_xlabel("Length (tokens)")


def _tick(length: float, notes: dict[int, str]) -> str:
    note = notes.get(round(length))
    return f"{length:.0f}" + (f"\n({note})" if note else "")


def dodge(index: int, count: int, room: float = 1.0) -> float:
    """A factor on the length that separates the points of different arms.

    `room`: the distance to the nearest other length, as a power of 2.
    """
    step = min(0.085, 0.55 * room / max(1, count))
    return float(2 ** (step * (index - (count - 1) / 2)))


def draw_series(
    axes: Axes,
    series: Series,
    styles: dict[str, ArmStyle],
    unit: float = 1.0,
    intervals: bool = True,
    dots: bool = False,
    spread: float = 1.0,
) -> None:
    """One line for each arm with intervals as bars; values are divided by `unit`.

    `dots`: draw the seeds behind a mean as small points. `spread`: distance between arms; at 1
    bars do not overlap.
    """
    shown = [arm for arm in styles if arm in series]
    lengths = sorted({p.length for arm in shown for p in series[arm]})
    room = min((math.log2(b / a) for a, b in pairwise(lengths)), default=1.0)
    for index, arm in enumerate(shown):
        points, style = series[arm], styles[arm]
        x = [p.length * dodge(index, len(shown), room) ** spread for p in points]
        y = [p.value / unit for p in points]
        if intervals:
            bars = [
                [max(0.0, end) / unit or math.nan for end in side]  # no bar, no cap
                for side in zip(*((p.value - p.low, p.high - p.value) for p in points), strict=True)
            ]
            axes.errorbar(
                x, y, bars, fmt="none", ecolor=style.colour, elinewidth=0.7, capsize=1.6, alpha=0.8
            )
        axes.plot(x, y, gid=f"arm:{arm}", **style.lines)
        for place, point in zip(x, points, strict=True) if dots else ():
            if len(point.seeds) > 1:
                beside = [place * 2 ** (0.035 * min(1.0, room))] * len(point.seeds)
                values = [seed / unit for seed in point.seeds]
                axes.plot(beside, values, ".", color=style.colour, ms=1.6, gid=f"seeds:{arm}")


def marked(style: ArmStyle, notes: Iterable[str]) -> ArmStyle:
    """The style with missing seeds in its legend entry: `Full, 1 of 3 seeds`.

    `notes`: one for each value of the arm in the figure; empty if no seed is missing.
    """
    found = set(notes)
    if not any(found):
        return style
    return replace(style, note=found.pop() if len(found) == 1 else "incomplete")


def legend(
    figure: Figure,
    styles: Sequence[ArmStyle],
    more: Sequence[Line2D] = (),
    lines: bool = True,
) -> None:
    """One legend below all panels, by columns. `lines`: arms are lines, not only markers."""
    handles = [
        Line2D(
            [],
            [],
            color=s.colour,
            linestyle=s.line if lines else "none",
            label=shortened(s.label, 44) + (f", {s.note}" if s.note else ""),  # never cut
            **s.marks,
        )
        for s in styles
    ]
    entries = [*handles, *more]
    if not entries:
        return
    longest = max(len(str(h.get_label())) for h in entries)
    most = max(1, int(figure.get_figwidth() / (0.48 + 0.062 * longest)))
    rows = -(-len(entries) // most)
    # A long legend makes the figure taller; the panels keep their size.
    figure.set_figheight(figure.get_figheight() + _ENTRY * max(0, rows - 4))
    figure.legend(
        handles=entries,
        loc="outside lower center",
        ncols=-(-len(entries) // rows),
        handlelength=3.2 if lines else 1.2,
        columnspacing=1.4,
    )


def amount_axis(axes: Axes, values: Sequence[float], text: Callable[[float], str]) -> None:
    """A y axis for amounts from 0; logarithmic if the largest is over 8 times the smallest."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    positive = [value for value in values if value > 0]
    if positive and max(positive) > 8 * min(positive):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(min(positive) / 1.25, max(positive) * 1.25)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axes.set_ylim(0, 1.1 * max(positive, default=1.0))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def empty_note(axes: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def _failed_rows(results: Sequence[Result], styles: dict[str, ArmStyle]) -> list[tuple[str, str]]:
    """(arm, status) of every row of the strip."""
    found = {(str(r["arm"]), str(r["status"])) for r in failures(results)}
    return [(arm, status) for arm in styles for status in FAILURES if (arm, status) in found]


def _draw_failures(
    axes: Axes,
    rows: Sequence[tuple[str, str]],
    results: Sequence[Result],
    styles: dict[str, ArmStyle],
) -> None:
    axes.set_yticks(range(len(rows)), [f"{shortened(arm, 28)}: {status}" for arm, status in rows])
    axes.tick_params(axis="y", length=0, labelsize=5.8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_facecolor("#f4f4f4")
    axes.grid(visible=False)
    for row, (arm, status) in enumerate(rows):
        own = [r for r in results if r["arm"] == arm]
        failed = Counter(int(r["length"]) for r in own if r["status"] == status)
        for length, times in failed.items():
            axes.plot(
                [length],
                [row],
                marker="x",
                markersize=4,
                markeredgewidth=1.3,
                linestyle="none",
                color=styles[arm].colour,
                gid=f"failure:{arm}:{length}:{status}",
            )
            cells = sum(r["length"] == length for r in own)
            if cells > 1:
                axes.annotate(
                    f"{times} of {cells}",
                    (length, row),
                    xytext=(3.5, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=5.5,
                )


@dataclass(frozen=True)
class Grid:
    """Panels in rows; `panels` holds the panels in use, `columns` of them in a row."""

    figure: Figure
    panels: list[Axes]
    columns: int

    def name(self, x: str, y: str) -> None:
        """Label the axes: y at the left of each row, x below the last panel of each column."""
        for place, axes in enumerate(self.panels):
            if place % self.columns == 0:
                axes.set_ylabel(y)
            if place + self.columns >= len(self.panels):
                axes.set_xlabel(x)
                axes.tick_params(labelbottom=True)

    def note_failures(self, cells: Sequence[Sequence[Result]]) -> None:
        """Write the failures of each panel's cells into its lower right corner.

        The y axis is extended downwards, so that the texts cover no data.
        """
        notes = [
            dict.fromkeys((str(r["arm"]), str(r["status"])) for r in failures(own)) for own in cells
        ]
        lines = max((len(found) for found in notes), default=0)
        if lines:
            low, high = self.panels[0].get_ylim()
            self.panels[0].set_ylim(low - (high - low) * min(0.6, 0.03 + 0.08 * lines), high)
        for axes, own, found in zip(self.panels, cells, notes, strict=True):
            for row, (arm, status) in enumerate(reversed(found)):
                length = own[0]["length"]
                axes.annotate(
                    f"× {shortened(arm, 28)}: {status}", (1.0, 0.0), xycoords="axes fraction",
                    xytext=(0, 3 + 7.5 * row), textcoords="offset points", ha="right", va="bottom",
                    fontsize=5.8, color="#333333", gid=f"failure:{arm}:{length}:{status}",
                )  # fmt: skip


def panels(count: int, height: float, share_x: bool = True) -> Grid:
    """`count` panels (at least one) with one scale, up to four in a row; height in inches each."""
    count = max(1, count)
    rows = -(-count // 4)
    columns = -(-count // rows)
    figure = new_figure(PAGE if columns > 2 else COLUMN * 1.2, height * rows + 0.55)
    grid = figure.subplots(rows, columns, sharex=share_x, sharey=True, squeeze=False)
    flat = [axes for row in grid for axes in row]
    for axes in flat[count:]:
        axes.set_visible(False)
    return Grid(figure, flat[:count], columns)
