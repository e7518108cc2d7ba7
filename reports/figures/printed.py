"""Figures for print: a description drawn with matplotlib, as PNG, SVG and PDF."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal, ParamSpec

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from reports.figures.describe import Chart, Colours, Key
from reports.figures.marks import draw_panel, marker_of

DPI = 300
VECTORS: tuple[Literal["svg", "pdf"], ...] = ("svg", "pdf")

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
_NO_DATE: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}

_P = ParamSpec("_P")


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Run a drawing function with this style."""

    @wraps(draw)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return wrapped


def new_figure(width: float, height: float) -> Figure:
    """An empty figure without a window; sizes in inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def _style() -> Iterator[None]:
    """This style, independent of the user's matplotlib settings."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_PARAMETERS)
        # A name in a script that the font lacks: boxes, no noise.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def as_vectors(figure: Figure) -> dict[str, bytes]:
    """The figure as SVG and PDF, by the end of the file name; call it after `as_image`."""
    figure.set_layout_engine("none")  # it is laid out, and this takes as long as the rest
    files = {}
    for kind in VECTORS:
        buffer = io.BytesIO()
        with _style():
            figure.savefig(buffer, format=kind, metadata=_NO_DATE[kind])
        files[str(kind)] = buffer.getvalue()
    return files


def as_image(figure: Figure) -> Image.Image:
    """The figure in pixels at print resolution. Its layout is final from here on."""
    resolution = figure.get_dpi()
    with _style():
        figure.set_dpi(DPI)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()  # `savefig` would draw twice, the first time for the layout only
        image = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
        figure.set_dpi(resolution)
    return image.convert("RGB")


def as_png(figure: Figure) -> bytes:
    """The figure as a PNG at print resolution; the same figure gives the same bytes."""
    return png_of(as_image(figure))


def png_of(image: Image.Image) -> bytes:
    """A file of `as_image`."""
    buffer = io.BytesIO()
    image.save(buffer, "png", dpi=(DPI, DPI))
    return buffer.getvalue()


def still_of(image: Image.Image) -> bytes:
    """A small PNG of `as_image` for the page: half of the pixels each way, 256 colours."""
    buffer = io.BytesIO()
    colours = image.reduce(2).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours.save(buffer, "png")
    return buffer.getvalue()


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
            draw_panel(axes, panel, colours, wide)
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


def _colours(about: Colours | None) -> ScalarMappable | None:
    if about is None:
        return None
    low, high = about.limits
    return ScalarMappable(
        Normalize(low, high), "cividis" if about.higher_is_better else "cividis_r"
    )


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
        **marker_of(look),
    )  # fmt: skip
