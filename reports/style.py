"""The look of figures: sizes, colours, one style for each arm, baselines in grey.

A method keeps its hue (the palette of Okabe and Ito, which colour-blind readers can distinguish).
A density has its own shade, marker and line style, so curves can be read without colour.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.core.methods import FULL, HEAD, LORA, SSMLORA, TFIDF, ZERO_SHOT
from reports.blocks import Picture, shortened
from reports.frame import Result, arm_order
from reports.groups import Group
from reports.stats import Series, arms, baseline_of

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

_HUES = {
    FULL: "#222222", LORA: "#0072B2", SSMLORA: "#D55E00", HEAD: "#666666",
    TFIDF: GREY, ZERO_SHOT: GREY,
}  # fmt: skip
_OTHER_HUES = ("#009E73", "#AA4499", "#7A5C00", "#117799")
_MARKERS = {FULL: "o", LORA: "sDP*", SSMLORA: "^v<>", HEAD: "X"}
_OTHER_MARKERS = "ph8dH"
_SIZES = {
    "D": 3.7,
    "d": 4.8,
    "P": 5.0,
    "*": 6.4,
    "X": 4.8,
}  # of markers, so that they look equally large
_LINES: tuple[Any, ...] = ("-", (0, (4.5, 1.5)), (0, (4.5, 1.3, 1, 1.3)), (0, (1, 1.2)))
_BASELINE_LINES: dict[str, Any] = {TFIDF: "--", ZERO_SHOT: (0, (6, 1.6, 1.2, 1.6))}
_FURTHER_LINES: tuple[Any, ...] = ((0, (2, 1)), (0, (9, 2)), (0, (9, 1.5, 2, 1.5)))
_BASELINE_NAMES = {TFIDF: "linear", ZERO_SHOT: "zero-shot"}


@dataclass(frozen=True)
class ArmStyle:
    """The style of an arm. `hollow`: a variant with the method and density of another arm.

    `note`: missing seeds, for the legend.
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
    """A style for each arm, in the order of legends.

    Method and density decide it, so that an arm looks the same in every report. Variants (a
    placement, a rank, an option) of one method and density have hollow markers of other shapes.
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
            colour=_shade(hue, level) if method in (LORA, SSMLORA) else to_rgb(hue),
            marker=marker,
            line=_BASELINE_LINES.get(method) or _LINES[(level + variant) % len(_LINES)],
            hollow=variant > 0,
        )
    return styles


def ink_on(colour: tuple[float, float, float, float]) -> str:
    """Black or white, whichever has more contrast with a colour (contrast as in WCAG 2)."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    light = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    return "white" if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 else "black"


def baseline_label(arm: str, method: str) -> str:
    """The label of a baseline in legends."""
    return f"{shortened(arm, 30)} ({_BASELINE_NAMES[method]})"


def baseline_lines(results: Iterable[Result]) -> dict[str, Any]:
    """The line style of each baseline; further baselines of one method have other styles."""
    results = list(results)
    found: dict[str, Any] = {}
    used: dict[str, int] = {}
    for arm in arms(results):
        method = baseline_of(arm, results)
        if method is not None:
            place = used.get(method, 0)
            used[method] = place + 1
            further = _FURTHER_LINES[(place - 1) % len(_FURTHER_LINES)]
            found[arm] = further if place else _BASELINE_LINES[method]
    return found


def baseline_handle(arm: str, method: str, look: Any) -> Line2D:
    """The legend entry of a baseline."""
    return Line2D([], [], color=GREY, ls=look, label=baseline_label(arm, method))


def draw_baselines(axes: Axes, series: Series, results: Sequence[Result]) -> list[Line2D]:
    """Draw each baseline as a grey line over length, with its interval as a band."""
    handles = []
    looks = baseline_lines(results)
    for arm, points in series.items():
        method = baseline_of(arm, results)
        if method is None:
            continue
        x = [p.length for p in points]
        axes.fill_between(
            x, [p.low for p in points], [p.high for p in points], color="#9a9a9a", alpha=0.2, lw=0
        )
        axes.plot(
            x, [p.value for p in points], color=GREY, marker="_" if len(points) == 1 else "",
            zorder=1.5, gid=f"arm:{arm}", ls=looks[arm],
        )  # fmt: skip
        handles.append(baseline_handle(arm, method, looks[arm]))
    return handles


def _shade(hue: str, level: int) -> tuple[float, float, float]:
    """A shade for a density: dense is dark; the lightest has a contrast of 3:1 on white."""
    black, white = ((0.38, 0.0), (0.0, 0.0), (0.0, 0.17), (0.0, 0.3))[level]
    red, green, blue = (c * (1 - black) + (1 - c) * white for c in to_rgb(hue))
    return red, green, blue


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


def picture(stem: str, group: Group, figure: Figure, caption: str, alt: str) -> Picture:
    """A figure of a group as a part of the page."""
    return Picture(f"{stem}{group.suffix}.png", as_png(figure), alt, group.about(caption))
