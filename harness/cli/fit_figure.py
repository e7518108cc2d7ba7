"""The figure of `bench-long fit`: the longest context of each method with each lever."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.core.fits import Fits
from reports.blocks import shortened
from reports.figures.printed import new_figure, styled
from reports.style import COLUMN, PAGE

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#7A5C00", "#117799", "#222222")
_MARKERS = "o^sDvP*"
_ROW = 0.22
"""Inches for each method."""


@styled
def draw(fits: Fits) -> Figure:
    """One panel for each memory; a row for each method, a mark for each lever."""
    methods = [*dict.fromkeys(row.method for row in fits.rows)][::-1]
    levers = [*dict.fromkeys(row.lever for row in fits.rows)]
    legend = 0.13 * len(levers)
    count = len(fits.memories)
    figure = new_figure(COLUMN if count == 1 else PAGE, _ROW * len(methods) + 0.7 + legend)
    panels = figure.subplots(1, count, sharex=True, sharey=True, squeeze=False)[0]
    for axes, memory in zip(panels, fits.memories, strict=True):
        axes.set_title(memory.name)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(methods)), [shortened(name, 28) for name in methods])
        axes.set_ylim(-0.6, len(methods) - 0.4)
        axes.set_xlabel("Longest context (tokens)")
        for place, lever in enumerate(levers):
            own = [
                row
                for row in fits.rows
                if row.lever == lever and row.memory == memory.name and row.length
            ]
            shift = 0.5 * (0.5 - (place + 0.5) / len(levers))
            axes.plot(
                [row.length or 0 for row in own],
                [methods.index(row.method) + shift for row in own],
                linestyle="",
                marker=_MARKERS[place % len(_MARKERS)],
                color=_COLOURS[place % len(_COLOURS)],
                label=shortened(lever, 40),
            )
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(levers)))
    return figure


def _tick(tokens: float) -> str:
    return f"{tokens / 1024:g}k" if tokens >= 1024 else f"{tokens:g}"
