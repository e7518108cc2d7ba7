"""How figures look: sizes for a paper's columns, a palette for all eyes, one style an arm.

A method keeps its hue (Okabe and Ito's palette, distinguishable to colour-blind readers); a
density has its shade, marker and line, so that a curve is known without colour as well.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from reports.files import BASE, BASELINE, Result, arm_order
from reports.text import shortened

COLUMN = 3.4
"""Width in inches of a figure in one column of a paper."""
PAGE = 6.9
"""Width in inches of a figure across both columns."""
DPI = 300
GREY = "#6b6b6b"

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
}

_HUES = {"full": "#222222", "lora": "#0072B2", "ssmlora": "#D55E00", BASELINE: GREY, BASE: GREY}
_OTHER_HUES = ("#009E73", "#AA4499", "#7A5C00", "#117799")
_MARKERS = {"full": "o", "lora": "sDP*", "ssmlora": "^v<>"}
_OTHER_MARKERS = "ph8dH"
_SIZES = {"D": 3.7, "d": 4.8, "P": 5.0, "*": 6.4}  # of markers, so that all look equally large
_LINES: tuple[Any, ...] = ("-", (0, (4.5, 1.5)), (0, (4.5, 1.3, 1, 1.3)), (0, (1, 1.2)))
REFERENCE_LINES: dict[str, Any] = {BASELINE: "--", BASE: (0, (6, 1.6, 1.2, 1.6))}
_REFERENCE_NOTES = {BASELINE: "linear", BASE: "untrained"}


@dataclass(frozen=True)
class ArmStyle:
    """How an arm is drawn. `hollow`: a variant of an arm that has the same method and density.

    `note`: what is missing of the arm, for the legend.
    """

    label: str
    colour: tuple[float, float, float]
    marker: str
    line: Any
    hollow: bool
    note: str = ""

    @property
    def marks(self) -> dict[str, Any]:
        """Keyword arguments for the marker of a matplotlib line."""
        return {
            "marker": self.marker,
            "markerfacecolor": "white" if self.hollow else self.colour,
            "markeredgecolor": self.colour if self.hollow else "white",
            "markeredgewidth": 0.9 if self.hollow else 0.4,
            "markersize": _SIZES.get(self.marker, 4.2),
        }

    @property
    def lines(self) -> dict[str, Any]:
        """Keyword arguments for a matplotlib line of this arm."""
        return {"color": self.colour, "linestyle": self.line, "label": self.label, **self.marks}


def arm_styles(results: Iterable[Result]) -> dict[str, ArmStyle]:
    """A style for each arm, in the order in which legends list them.

    Method and density alone decide it, so that an arm looks the same in every report; only
    variants (a placement, a rank, an option) of the same method and density share a look and are
    told apart by hollow markers of other shapes.
    """
    firsts: dict[str, Result] = {}
    for result in sorted(results, key=arm_order):
        firsts.setdefault(str(result["arm"]), result)
    others = sorted({str(r["method"]) for r in firsts.values()} - _HUES.keys())
    used: dict[tuple[str, float], int] = {}
    styles = {}
    for label, result in sorted(firsts.items(), key=lambda kv: (*arm_order(kv[1])[:3], len(kv[0]))):
        method = str(result["method"])
        density = 1.0 if result["density"] is None else float(result["density"])
        variant = used.get((method, density), 0)
        used[method, density] = variant + 1
        level = round(min(3.0, max(0.0, -math.log2(density)))) if density > 0 else 3
        if method in _HUES:
            hue, markers = _HUES[method], _MARKERS.get(method, "o")
        else:
            place = others.index(method)
            hue = _OTHER_HUES[place % len(_OTHER_HUES)]
            markers = _OTHER_MARKERS[place % len(_OTHER_MARKERS)]
        shapes = markers + _OTHER_MARKERS
        marker = markers[level % len(markers)] if not variant else shapes[-variant % len(shapes)]
        styles[label] = ArmStyle(
            label=label,
            colour=_shade(hue, level) if method in ("lora", "ssmlora") else to_rgb(hue),
            marker=marker,
            line=REFERENCE_LINES.get(method) or _LINES[(level + variant) % len(_LINES)],
            hollow=variant > 0,
        )
    return styles


def ink_on(colour: tuple[float, float, float, float]) -> str:
    """Black or white, whichever stands out more on a colour (contrast as WCAG 2 defines it)."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    light = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    return "white" if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 else "black"


def reference_label(arm: str, method: str) -> str:
    """A reference as legends name it."""
    return f"{shortened(arm, 30)} ({_REFERENCE_NOTES[method]})"


def _shade(hue: str, level: int) -> tuple[float, float, float]:
    """Dense arms darker, sparse ones lighter; the lightest still has 3:1 contrast on white."""
    black, white = ((0.38, 0.0), (0.0, 0.0), (0.0, 0.17), (0.0, 0.3))[level]
    red, green, blue = (c * (1 - black) + (1 - c) * white for c in to_rgb(hue))
    return red, green, blue


_P = ParamSpec("_P")


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Run a drawing function under this style, whatever the user's matplotlib settings."""

    @wraps(draw)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_PARAMETERS)
            return draw(*args, **kwargs)

    return wrapped


def new_figure(width: float, height: float) -> Figure:
    """An empty figure (inches) that no window system knows of."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def as_png(figure: Figure) -> bytes:
    """The figure as a PNG at print resolution; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_PARAMETERS)
        with warnings.catch_warnings():  # a name in a script that the font lacks: boxes, no noise
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
