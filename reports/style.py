"""The look of arms: one style for each arm, baselines in grey.

A method keeps its hue (the palette of Okabe and Ito, which colour-blind readers can distinguish).
A density has its own shade, marker and line style, so curves can be read without colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.core.methods import FULL, HEAD, LORA, SSMLORA, TFIDF, ZERO_SHOT
from reports.blocks import Picture, shortened
from reports.figures.describe import GREY, Chart, Key, Look
from reports.frame import Result, arm_order
from reports.groups import Group
from reports.seeds import arms
from reports.stats import baseline_of

COLUMN = 3.4
"""Width in inches of a figure in one column of a paper."""
PAGE = 6.9
"""Width in inches of a figure across both columns."""
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
class ArmStyle(Look):
    """The look of an arm. Variants of the method and density of another arm are hollow.

    `note`: missing seeds, for the legend.
    """

    label: str = ""
    note: str = ""


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
            colour=_shade(hue, level) if method in (LORA, SSMLORA) else hue,
            marker=marker,
            size=_SIZES.get(marker, 4.2),
            line=_BASELINE_LINES.get(method) or _LINES[(level + variant) % len(_LINES)],
            hollow=variant > 0,
        )
    return styles


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


def baseline_key(arm: str, method: str, look: Any) -> Key:
    """The legend entry of a baseline."""
    return Key(arm, baseline_label(arm, method), baseline_look(look))


def baseline_look(line: Any, points: int = 2) -> Look:
    """A grey line; a single point is a dash."""
    return Look(GREY, "_" if points == 1 else "", line, edge=1.0, behind=True)


def _shade(hue: str, level: int) -> str:
    """A shade for a density: dense is dark; the lightest has a contrast of 3:1 on white."""
    black, white = ((0.38, 0.0), (0.0, 0.0), (0.0, 0.17), (0.0, 0.3))[level]
    parts = (int(hue[at : at + 2], 16) / 255 for at in (1, 3, 5))
    mixed = (c * (1 - black) + (1 - c) * white for c in parts)
    return "#" + "".join(f"{round(255 * c):02x}" for c in mixed)


def picture(stem: str, group: Group, chart: Chart, caption: str, alt: str) -> Picture:
    """A figure of a group as a part of the page."""
    return Picture(f"{stem}{group.suffix}.png", chart, alt, group.about(caption))
