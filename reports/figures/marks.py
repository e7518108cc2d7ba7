"""Panels drawn with matplotlib: axes, curves, bars, tiles, texts."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
)

from reports.figures.describe import (
    GREY,
    Axis,
    Curve,
    Level,
    Look,
    Note,
    Panel,
    Tile,
)

_LETTER = 0.62  # width of a letter relative to the font size


def draw_panel(axes: Axes, panel: Panel, colours: ScalarMappable | None, wide: float) -> None:
    """Draw a panel into axes that are `wide` points wide."""
    axes.set_title(panel.title)
    _axis(axes, "x", panel.x)
    _axis(axes, "y", panel.y)
    if panel.shaded:
        axes.set_facecolor(panel.shaded)
    if panel.tiles:
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    for level in panel.levels:
        _level(axes, level)
    for curve in panel.curves:
        _curve(axes, curve)
    for bar in panel.bars:
        axes.bar(
            bar.column, bar.height, 0.8, bar.base, color=bar.colour, edgecolor="white",
            linewidth=0.4, gid=f"part:{bar.name}",
        )  # fmt: skip
        if bar.text:
            axes.text(
            bar.column, bar.base + bar.height / 2, bar.text, ha="center", va="center",
            fontsize=_bar_size(panel), color=ink_on(bar.colour),
        )  # fmt: skip
    if colours:
        for tile in panel.tiles:
            _tile(axes, tile, colours, 0.85 * wide / max(1, len(panel.x.ticks or ())))
    for label in panel.labels:
        axes.text(
            label.x, label.y, label.text, ha="center", va="bottom", gid=label.mark or None,
            rotation=90 if label.upright else 0, fontweight="bold" if label.bold else "normal",
            fontsize=5.8 if label.upright else _bar_size(panel),
        )  # fmt: skip
    for upper in (False, True):
        for row, note in enumerate(note for note in panel.notes if note.upper is upper):
            _note(axes, note, row)
    if panel.empty:
        axes.text(
            0.5, 0.5, panel.empty, transform=axes.transAxes, ha="center", va="center", color=GREY
        )


def _bar_size(panel: Panel) -> float:
    return 5.5 if len(panel.x.ticks or ()) <= 4 else 4.5


def _axis(axes: Axes, name: Literal["x", "y"], about: Axis) -> None:
    is_x = name == "x"
    axis = axes.xaxis if is_x else axes.yaxis
    set_scale = axes.set_xscale if is_x else axes.set_yscale
    if about.scale != "linear":
        set_scale("log", base=2 if about.scale == "log2" else 10)
        axis.set_minor_locator(NullLocator())
    if about.ticks is not None:
        axis.set_major_locator(FixedLocator([place for place, _ in about.ticks]))
        axis.set_major_formatter(FixedFormatter([text for _, text in about.ticks]))
    elif about.numbers:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: format(value, about.numbers)))
    (axes.set_xlim if is_x else axes.set_ylim)(*about.limits)
    (axes.set_xlabel if is_x else axes.set_ylabel)(about.label)
    look: dict[str, Any] = {"labelrotation": 45} if about.slanted else {}
    if about.small:
        look |= {"length": 0, "labelsize": 5.8}
    axes.tick_params(axis=name, **{"labelbottom" if is_x else "labelleft": about.shown}, **look)
    if not about.grid:
        axes.grid(visible=False, axis=name)


def marker_of(look: Look) -> dict[str, Any]:
    """Keyword arguments for the marker of a line."""
    edge = look.edge if look.edge is not None else 0.9 if look.hollow else 0.4
    stroked = look.hollow or look.clear or look.marker in "x_."
    filling = "none" if look.clear else "white" if look.hollow else look.colour
    return {
        "marker": look.marker,
        "markerfacecolor": filling,
        "markeredgecolor": look.colour if stroked else "white",
        "markeredgewidth": edge,
        "markersize": look.size,
    }  # fmt: skip


def _line(look: Look) -> dict[str, Any]:
    behind = {"zorder": 1.5} if look.behind else {}
    line = look.line or "none"
    return {"color": look.colour, "linestyle": line, "linewidth": look.width, **behind}


def _curve(axes: Axes, curve: Curve) -> None:
    if curve.low and curve.band:
        axes.fill_between(curve.x, curve.low, curve.high, color="#9a9a9a", alpha=0.2, lw=0)
    elif curve.low:
        bars = np.maximum(0.0, [np.subtract(curve.y, curve.low), np.subtract(curve.high, curve.y)])
        bars[:, ~bars.any(axis=0)] = math.nan  # no bar, no caps
        axes.errorbar(
            curve.x, curve.y, bars, fmt="none", ecolor=curve.look.colour, elinewidth=0.7,
            capsize=1.6, alpha=0.8,
        )  # fmt: skip
    axes.plot(
        curve.x, curve.y, gid=curve.gid, label=curve.name, clip_on=curve.kind != "failure",
        **_line(curve.look), **marker_of(curve.look),
    )  # fmt: skip
    side, away = ("right", -4.0) if curve.left else ("left", 3.5)
    for x, y, text in zip(curve.x, curve.y, curve.texts, strict=False):
        axes.annotate(
            text, (x, y), xytext=(away, 0), textcoords="offset points", ha=side, va="center",
            fontsize=5.5,
        )  # fmt: skip


def _level(axes: Axes, level: Level) -> None:
    look = {"zorder": 1.2} | _line(level.look)
    axes.axhline(level.value, gid=level.mark or None, label=level.name or None, **look)


def _note(axes: Axes, note: Note, row: int) -> None:
    side, sign = ("top", -1) if note.upper else ("bottom", 1)
    axes.annotate(
        note.text, (0.99, float(note.upper)), xycoords="axes fraction", ha="right", va=side,
        xytext=(0, sign * (3 + 7.5 * row)), textcoords="offset points", fontsize=5.8,
        color=note.colour, gid=note.mark or None,
    )  # fmt: skip


def _tile(axes: Axes, tile: Tile, colours: ScalarMappable, room: float) -> None:
    """One place; the size of its text is limited by `room`, its width in points."""
    colour: tuple[float, float, float, float] = (0.925, 0.925, 0.925, 1.0)
    ink = "#a00000"
    if tile.value is not None:
        red, green, blue, _ = colours.to_rgba(np.asarray([tile.value]))[0]
        colour = (float(red), float(green), float(blue), 1.0)
        ink = ink_on(colour)
    axes.add_patch(
        Rectangle(
            (tile.column - 0.5, tile.row - 0.5), 1, 1, facecolor=colour, edgecolor="white",
            linewidth=1.0, hatch="////" if tile.state == "missing" else None,
        )
    )  # fmt: skip
    longest = max((len(line) for line in tile.text.split("\n")), default=0)
    size = min(6.5, room / (4 * _LETTER), 1.15 * room / (_LETTER * max(1, longest)))
    axes.text(
        tile.column, tile.row, tile.text, ha="center", va="center", color=ink, fontsize=size,
        gid=tile.mark or None,
    )  # fmt: skip


def ink_on(colour: Any) -> str:
    """Black or white, whichever has more contrast with a colour (contrast as in WCAG 2)."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgba(colour)]
    light = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    return "white" if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 else "black"
