"""A group's figure as a block of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from reports.blocks import Picture
from reports.files import Result
from reports.groups import Group
from reports.style import as_png

Draw = Callable[[Sequence[Result]], Figure]


def picture(
    stem: str,
    group: Group,
    draw: Draw,
    caption: str,
    alt: str,
    results: Sequence[Result] | None = None,
) -> Picture:
    """Draw a figure of a group."""
    png = as_png(draw(group.results if results is None else results))
    where = f"{group.title}: " if group.title else ""
    return Picture(f"{stem}{group.suffix}.png", png, alt, where + caption)
