"""What a figure shows, without the way of drawing it.

A `Chart` is a grid of panels with one legend. Every number that a drawing shows is in it: the
points with their intervals, the limits of the axes, the texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

GREY = "#6b6b6b"
INK = "#333333"

Numbers = tuple[float, ...]
Limits = tuple[float, float]
Scale = Literal["linear", "log", "log2"]
State = Literal["value", "failed", "missing", "other"]
Kind = Literal["arm", "seeds", "cells", "best", "constant", "level", "failure"]
"""What points are: the values of an arm, or marks beside them."""


@dataclass(frozen=True)
class Look:
    """Colour (`#rrggbb`), marker and line, with the codes of matplotlib; empty: none.

    `hollow`: the marker is filled with the background. `clear`: it has no filling. `behind`: drawn
    below the arms.
    """

    colour: str
    marker: str = ""
    line: Any = ""
    hollow: bool = False
    clear: bool = False
    size: float = 4.2
    width: float = 1.1
    edge: float | None = None
    behind: bool = False


@dataclass(frozen=True)
class Curve:
    """Points of one name in a panel, with intervals (`low`, `high`) if there are any.

    Attributes:
        labels: what is shown when a point is hovered over, one text for each point.
        texts: texts beside the points.
        band: intervals are a band, not bars.
        mark: overrides the mark `KIND:NAME` of the drawn line.
    """

    name: str
    look: Look
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    labels: tuple[str, ...] = ()
    kind: Kind = "arm"
    texts: tuple[str, ...] = ()
    left: bool = False
    band: bool = False
    mark: str = ""

    @property
    def gid(self) -> str:
        """The mark of the drawn line."""
        return self.mark or f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class Level:
    """A horizontal line over the whole panel."""

    value: float
    look: Look
    name: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Note:
    """A text in the lower or upper right corner of a panel; several are stacked."""

    text: str
    upper: bool = False
    mark: str = ""
    colour: str = GREY


@dataclass(frozen=True)
class Bar:
    """A part of a stack: its column, its lower end and height, and a text inside."""

    column: int
    base: float
    height: float
    name: str
    colour: str
    text: str = ""
    label: str = ""


@dataclass(frozen=True)
class Tile:
    """A place of a heat map. `state` says why there is no value."""

    row: int
    column: int
    value: float | None
    text: str = ""
    state: State = "value"
    mark: str = ""
    label: str = ""


@dataclass(frozen=True)
class Label:
    """A text at a place of a panel, such as the sum above a stack."""

    x: float
    y: float
    text: str
    bold: bool = False
    upright: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Axis:
    """An axis. Without `ticks` they are automatic, with numbers in the format `numbers`.

    Attributes:
        limits: lowest and highest value; the first may be the larger one.
        shown: whether ticks have their texts.
        slanted: texts of ticks are rotated.
        grid: whether ticks have lines.
    """

    label: str = ""
    scale: Scale = "linear"
    limits: Limits = (0.0, 1.0)
    ticks: tuple[tuple[float, str], ...] | None = None
    numbers: str = ""
    shown: bool = True
    slanted: bool = False
    grid: bool = True
    small: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes. `shaded`: the background of a strip or of a heat map."""

    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    title: str = ""
    curves: tuple[Curve, ...] = ()
    levels: tuple[Level, ...] = ()
    bars: tuple[Bar, ...] = ()
    tiles: tuple[Tile, ...] = ()
    labels: tuple[Label, ...] = ()
    notes: tuple[Note, ...] = ()
    empty: str = ""
    shaded: str = ""


@dataclass(frozen=True)
class Key:
    """A legend entry. `patch`: the entry of an area, such as a part of a bar."""

    name: str
    text: str
    look: Look
    patch: bool = False


@dataclass(frozen=True)
class Colours:
    """The colour scale of all heat maps of a chart; better is lighter."""

    limits: Limits
    label: str
    higher_is_better: bool = True


@dataclass(frozen=True)
class Chart:
    """Rows of panels; sizes in inches. `heights`: of the rows, relative to each other."""

    rows: tuple[tuple[Panel, ...], ...]
    width: float
    height: float
    legend: tuple[Key, ...] = ()
    heights: tuple[float, ...] = ()
    colours: Colours | None = None
    lines: bool = True
    """Whether legend entries are lines; else markers only."""

    @property
    def panels(self) -> list[Panel]:
        """All panels, by rows."""
        return list(chain.from_iterable(self.rows))


def around(values: Iterable[float], below: float = 0.05, above: float = 0.05) -> Limits:
    """Limits that show all finite values, with room below and above as shares of their range."""
    known = [value for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if low == high:
        half = 0.05 * abs(low) or 0.05
        low, high = low - half, high + half
    room = high - low
    return low - below * room, high + above * room


def ends(curves: Iterable[Curve]) -> list[float]:
    """All values of curves on the y axis, with the ends of their intervals."""
    return [value for curve in curves for value in (*curve.y, *curve.low, *curve.high)]


def amounts(values: Sequence[float], label: str = "", numbers: str = ",.4g") -> Axis:
    """An axis for amounts from 0; logarithmic if the largest is over 8 times the smallest."""
    positive = [value for value in values if value > 0]
    if positive and max(positive) > 8 * min(positive):
        limits = (min(positive) / 1.25, max(positive) * 1.25)
        return Axis(label, "log", limits, log_ticks(limits, lambda v: format(v, numbers)))
    return Axis(label, "linear", (0.0, 1.1 * max(positive, default=1.0)), numbers=numbers)


def log_ticks(
    limits: Limits, text: Callable[[float], str], steps: Sequence[int] = (1, 2, 5)
) -> tuple[tuple[float, str], ...]:
    """Ticks of a logarithmic axis: steps of each power of ten, or powers only if they are many."""
    low, high = (math.log10(end) for end in limits)
    powers = range(math.floor(low), math.ceil(high) + 1)
    every = [step * 10.0**power for power in powers for step in steps]
    found = [value for value in every if limits[0] <= value <= limits[1]]
    if len(found) > 9:
        found = [10.0**power for power in powers if limits[0] <= 10.0**power <= limits[1]]
    return tuple((value, text(value)) for value in found)
