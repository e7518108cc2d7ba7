"""Figures of many small panels: one a length, or one an arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.files import Result
from reports.stats import failures
from reports.style import COLUMN, PAGE, new_figure
from reports.text import shortened


@dataclass(frozen=True)
class Grid:
    """Panels in rows; `panels` holds those in use, `columns` of them to a row."""

    figure: Figure
    panels: list[Axes]
    columns: int

    def name(self, x: str, y: str) -> None:
        """Name the axes: y at the left of each row, x below the last panel of each column."""
        for place, axes in enumerate(self.panels):
            if place % self.columns == 0:
                axes.set_ylabel(y)
            if place + self.columns >= len(self.panels):
                axes.set_xlabel(x)
                axes.tick_params(labelbottom=True)

    def note_failures(self, cells: Sequence[Sequence[Result]]) -> None:
        """Write into each panel's lower right corner which of its cells failed, and how.

        The y axis is lowered, so that nothing else is drawn there.
        """
        told = [
            dict.fromkeys((str(r["arm"]), str(r["status"])) for r in failures(own)) for own in cells
        ]
        lines = max((len(found) for found in told), default=0)
        if lines:
            low, high = self.panels[0].get_ylim()
            self.panels[0].set_ylim(low - (high - low) * min(0.6, 0.03 + 0.08 * lines), high)
        for axes, own, found in zip(self.panels, cells, told, strict=True):
            for row, (arm, status) in enumerate(reversed(found)):
                length = own[0]["length"]
                axes.annotate(
                    f"× {shortened(arm, 28)}: {status}", (1.0, 0.0), xycoords="axes fraction",
                    xytext=(0, 3 + 7.5 * row), textcoords="offset points", ha="right", va="bottom",
                    fontsize=5.8, color="#333333", gid=f"failure:{arm}:{length}:{status}",
                )  # fmt: skip


def panels(count: int, height: float, share_x: bool = True) -> Grid:
    """`count` panels (one at least) on one scale, up to four to a row; height in inches each."""
    count = max(1, count)
    rows = -(-count // 4)
    columns = -(-count // rows)
    figure = new_figure(PAGE if columns > 2 else COLUMN * 1.2, height * rows + 0.55)
    grid = figure.subplots(rows, columns, sharex=share_x, sharey=True, squeeze=False)
    flat = [axes for row in grid for axes in row]
    for axes in flat[count:]:
        axes.set_visible(False)
    return Grid(figure, flat[:count], columns)
