"""Loss against the position in the text: where does more context help?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.core.result import PositionLoss as Bin
from reports.axes import empty_note, legend, marked
from reports.files import BASE, Result
from reports.metrics import metric_of
from reports.panels import Grid
from reports.references import reference_handle, reference_lines
from reports.seeds import comparable_cells, places
from reports.stats import arms, one_rate_an_arm, reference_of
from reports.style import COLUMN, GREY, arm_styles, new_figure, styled


def position_curves(results: Sequence[Result]) -> tuple[int, dict[str, list[Bin]]]:
    """The longest length that has losses by position, and each arm's there.

    They are means over the seeds that all arms have at that length.
    """
    cells = comparable_cells(one_rate_an_arm(results), lambda r: r.ok and bool(r.by_position))
    longest = max((int(r["length"]) for r in cells), default=0)
    cells = [r for r in cells if r["length"] == longest]
    found: dict[str, list[Bin]] = {}
    for arm in arms(cells):
        losses: dict[tuple[int, int], list[float]] = {}
        for one in (one for r in cells if r["arm"] == arm for one in r.by_position):
            losses.setdefault((one.start, one.end), []).append(one.loss)
        found[arm] = [Bin(start=a, end=b, loss=fmean(losses[a, b])) for a, b in sorted(losses)]
    return longest, found


def position_notes(results: Sequence[Result], length: int) -> dict[str, str]:
    """By arm: how many of the planned seeds have such losses at a length, where some have none."""
    found = places(one_rate_an_arm(results), lambda r: r.ok and bool(r.by_position))
    return {arm: at[length].note for arm, at in found.items() if length in at}


def middle(one: Bin) -> float:
    """Where a bin stands on a logarithmic axis; the first, from 0, as if it began at half."""
    return math.sqrt(max(one.start, one.end / 2) * one.end)


@styled
def loss_by_position(results: Sequence[Result]) -> Figure:
    """Mean test loss against position, one line an arm, at the longest length."""
    longest, curves = position_curves(results)
    styles = arm_styles(results)
    figure = new_figure(COLUMN * 1.25, 2.75)
    axes = figure.subplots()
    bases = [arm for arm in curves if reference_of(arm, results) == BASE]
    looks = reference_lines(results)
    for arm in [a for a in styles if a in curves]:
        x, y = [middle(one) for one in curves[arm]], [one.loss for one in curves[arm]]
        if arm in bases:
            axes.plot(
                x, y, color=GREY, ls=looks[arm], zorder=1.5, gid=f"arm:{arm}",
                marker="_" if len(x) == 1 else "",
            )  # fmt: skip
        else:
            axes.plot(x, y, gid=f"arm:{arm}", **styles[arm].lines)
    _axis(axes, sorted({(one.start, one.end) for curve in curves.values() for one in curve}))
    grid = Grid(figure, [axes], 1)
    grid.name("Position in the text (tokens)", metric_of(results).named("Test"))
    if curves:
        grid.note_failures([[r for r in one_rate_an_arm(results) if r["length"] == longest]])
    else:
        empty_note(axes, "no loss by position was measured")
    notes = position_notes(results, longest)
    drawn = [arm for arm in styles if arm in curves and arm not in bases]
    own = [marked(styles[arm], [notes[arm]]) for arm in drawn]
    legend(figure, own, [reference_handle(arm, BASE, looks[arm]) for arm in bases])
    return figure


def _axis(axes: Axes, bins: Sequence[tuple[int, int]]) -> None:
    """A logarithmic axis on which each bin is named by the positions in it."""
    places = {middle(Bin(start=a, end=b, loss=0.0)): f"{a}–{b - 1}" for a, b in bins}
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(places)))
    axes.xaxis.set_minor_locator(NullLocator())
    labels = list(places.items())

    def told(value: float, _: int | None) -> str:
        near = min(labels, key=lambda known: abs(known[0] - value), default=(0.0, ""))
        return near[1]

    axes.xaxis.set_major_formatter(FuncFormatter(told))
    if places:
        axes.set_xlim(min(places) / 2**0.4, max(places) * 2**0.4)
    if len(places) > 4:
        axes.tick_params(axis="x", labelrotation=45)
