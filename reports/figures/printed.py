"""Figures for print: a description drawn with matplotlib, as PNG, SVG and PDF."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

from reports.figures.describe import (
    GREY,
    Axis,
    Chart,
    Colours,
    Curve,
    Key,
    Level,
    Look,
    Note,
    Panel,
    Tile,
)

DPI = 300
Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")

_PARAMETERS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "hatch.linewidth": 0.4,
    "hatch.color": "#8a8a8a",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "text.parse_math": False,  # names come from files: a $ in them is a $
    "text.usetex": False,
    "svg.hashsalt": "bench-long",  # the same figure gives the same bytes
}

_ENTRY = 0.12  # inches for each row of a legend
_LETTER = 0.62  # width of a letter relative to the font size
_NO_DATE: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}

_P = ParamSpec("_P")


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Run a drawing function with this style, independent of the user's matplotlib settings."""

    @wraps(draw)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_PARAMETERS)
            return draw(*args, **kwargs)

    return wrapped


def new_figure(width: float, height: float) -> Figure:
    """An empty figure without a window; sizes in inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def saved(figure: Figure, kind: Format = "png") -> bytes:
    """The figure as a file at print resolution; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_PARAMETERS)
        with warnings.catch_warnings():  # a name in a script that the font lacks: boxes, no noise
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure.savefig(buffer, format=kind, dpi=DPI, metadata=_NO_DATE[kind])
    return buffer.getvalue()


def printed(figure: Figure) -> dict[str, bytes]:
    """The figure in every format, by the end of the file name."""
    png = saved(figure, "png")
    figure.set_layout_engine("none")  # it is laid out now
    return {"png": png, **{kind: saved(figure, kind) for kind in FORMATS[1:]}}


def as_png(figure: Figure) -> bytes:
    """The figure as a PNG at print resolution."""
    return saved(figure, "png")


@styled
def drawn(chart: Chart) -> Figure:
    """A description as a figure of matplotlib."""
    columns = max(len(row) for row in chart.rows)
    figure = new_figure(chart.width, chart.height)
    grid = figure.subplots(
        len(chart.rows), columns, squeeze=False, height_ratios=chart.heights or None
    )
    colours = _colours(chart.colours)
    wide = 72 * chart.width / columns
    for places, row in zip(grid, chart.rows, strict=True):
        for axes, panel in zip(places, row, strict=False):
            _draw(axes, panel, colours, wide)
        for axes in places[len(row) :]:
            axes.set_visible(False)
    if (
        colours
        and chart.colours
        and any(t.value is not None for p in chart.panels for t in p.tiles)
    ):
        bar = figure.colorbar(colours, ax=list(grid.flat), aspect=12 * len(chart.rows), pad=0.02)
        bar.set_label(chart.colours.label)
        bar.outline.set_visible(False)
    _legend(figure, chart)
    return figure


def _draw(axes: Axes, panel: Panel, colours: ScalarMappable | None, wide: float) -> None:
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
        locator = (
            MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])
            if about.scale == "linear"
            else LogLocator(base=10, subs=(1.0, 2.0, 5.0))
        )
        axis.set_major_locator(locator)
        axis.set_major_formatter(FuncFormatter(lambda value, _: format(value, about.numbers)))
    elif about.scale == "log":
        axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    (axes.set_xlim if is_x else axes.set_ylim)(*about.limits)
    (axes.set_xlabel if is_x else axes.set_ylabel)(about.label)
    look: dict[str, Any] = {"labelrotation": 45} if about.slanted else {}
    if about.small:
        look |= {"length": 0, "labelsize": 5.8}
    axes.tick_params(axis=name, **{"labelbottom" if is_x else "labelleft": about.shown}, **look)
    if not about.grid:
        axes.grid(visible=False, axis=name)


def _short(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g} {letter}"
    return f"{value:g}"


def _marks(look: Look) -> dict[str, Any]:
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
        bars = [
            [max(0.0, end) or math.nan for end in side]  # no bar, no cap
            for side in (np.subtract(curve.y, curve.low), np.subtract(curve.high, curve.y))
        ]
        axes.errorbar(
            curve.x, curve.y, bars, fmt="none", ecolor=curve.look.colour, elinewidth=0.7,
            capsize=1.6, alpha=0.8,
        )  # fmt: skip
    axes.plot(
        curve.x, curve.y, gid=curve.gid, label=curve.name, clip_on=curve.kind != "failure",
        **_line(curve.look), **_marks(curve.look),
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


def _colours(about: Colours | None) -> ScalarMappable | None:
    if about is None:
        return None
    low, high = about.limits
    return ScalarMappable(
        Normalize(low, high), "cividis" if about.higher_is_better else "cividis_r"
    )


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


def _legend(figure: Figure, chart: Chart) -> None:
    """One legend below all panels, by columns."""
    if not chart.legend:
        return
    handles = [_handle(key, chart.lines) for key in chart.legend]
    longest = max(len(key.text) for key in chart.legend)
    most = max(1, int(figure.get_figwidth() / (0.48 + 0.062 * longest)))
    rows = -(-len(handles) // most)
    # A long legend makes the figure taller; the panels keep their size.
    figure.set_figheight(figure.get_figheight() + _ENTRY * max(0, rows - 4))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=-(-len(handles) // rows),
        handlelength=3.2 if chart.lines else 1.2,
        columnspacing=1.4,
    )


def _handle(key: Key, lines: bool) -> Line2D:
    look = key.look
    line: Any = look.line if lines or not look.marker else ""
    return Line2D(
        [], [], color=look.colour, linestyle=line or "none", linewidth=look.width, label=key.text,
        **_marks(look),
    )  # fmt: skip
