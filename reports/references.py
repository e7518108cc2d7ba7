"""What arms are held against, drawn in grey: the linear model, the untrained backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports.files import BASE, BASELINE, Result
from reports.metrics import metric_of
from reports.stats import Series, arms, reference_of
from reports.style import GREY, REFERENCE_LINES, reference_label
from reports.text import listed, share

_FURTHER_LINES: tuple[Any, ...] = ((0, (2, 1)), (0, (9, 2)), (0, (9, 1.5, 2, 1.5)))
_LEAST, _LEAST_OF_A_GUESS = 0.3, 0.6
"""The least share of an axis that the arms must have where the untrained backbone is drawn. With a
classifier that was never trained it only guesses, and is worth less of the axis."""


def far_off(series: Series, results: Sequence[Result]) -> dict[str, str]:
    """Untrained backbones so far from the arms that drawing them would flatten all else.

    Each with the words that say where it is instead.
    """
    bases = [arm for arm in series if reference_of(arm, results) == BASE]
    rest = [p for arm, points in series.items() if arm not in bases for p in points]
    if not rest:
        return {}
    low, high = min(p.low for p in rest), max(p.high for p in rest)
    share = _LEAST if metric_of(results).by_text else _LEAST_OF_A_GUESS
    found = {}
    for arm in bases:
        values = [p.value for p in series[arm]]
        least, most = min(values), max(values)
        if (high - low) >= share * (max(high, most) - min(low, least)):
            continue
        told = " to ".join(dict.fromkeys(f"{value:.2f}" for value in (least, most)))
        side = "below" if high > most else "above"
        found[arm] = f"{reference_label(arm, BASE)}: {told}, {side} this axis"
    return found


CONSTANT, CONSTANT_LABEL = "best constant answer", "constant answer (test)"
"""The one answer that scores highest when it is given to every test text. It is chosen on the test
texts: an arm at this score or below it has not been shown to have learned anything."""


def constant_points(results: Sequence[Result]) -> dict[int, float]:
    """The test score of the best constant answer by length; the highest where cells differ.

    Empty where scores of several metrics stand together.
    """
    if len({r["metric"] for r in results if r["score"] is not None}) > 1:
        return {}
    found: dict[int, float] = {}
    for r in results:
        if r["majority"] is not None:
            length = int(r["length"])
            found[length] = max(found.get(length, 0.0), float(r["majority"]))
    return dict(sorted(found.items()))


def linear_note(results: Sequence[Result]) -> str:
    """What the linear baseline's line is, and of how many texts."""
    cells = [r for r in results if r["method"] == BASELINE]
    texts = sorted({int(r["examples"]) for r in cells if r["examples"]})
    whose = listed(list(dict.fromkeys(str(r["backbone"]) for r in cells if r["backbone"])))
    told = f", trained on {listed([f'{n:,}' for n in texts], 'or')} texts" if texts else ""
    told += f" cut by the tokenizer of {whose}" if texts and whose else ""
    return (
        f"Grey dashed: a linear model on word counts (TF-IDF){told}, with its interval as a band."
    )


def spanned(points: dict[int, float]) -> str:
    """The least and the greatest of these scores: `0.31`, `0.31 to 0.36`."""
    least, most = min(points.values()), max(points.values())
    return " to ".join(dict.fromkeys(f"{value:.2f}" for value in (least, most)))


def constant_sentence(results: Sequence[Result]) -> str:
    """The scores of the best constant answer, for captions and text alternatives."""
    points = constant_points(results)
    if not points:
        return ""
    if len({share(value) for value in points.values()}) == 1:
        told = share(next(iter(points.values())))
    else:
        told = listed([f"{share(value)} at {length}" for length, value in points.items()])
    return f"The {CONSTANT}, given to all test texts, scores {told}."


def draw_constant(axes: Axes, points: dict[int, float]) -> Line2D:
    """A dotted line: across the axis where all lengths have one value, else through the lengths."""
    look: dict[str, Any] = {"color": GREY, "lw": 0.8, "ls": ":", "zorder": 1.5}
    if len(set(points.values())) == 1:
        line = axes.axhline(next(iter(points.values())), **look)
    else:
        (line,) = axes.plot(list(points), list(points.values()), marker=".", ms=2.5, **look)
    line.set_label(CONSTANT_LABEL)
    line.set_gid("constant")
    return line


def draw_references(axes: Axes, series: Series, results: Sequence[Result]) -> list[Line2D]:
    """Each reference as a dashed grey line over length, with its interval as a band."""
    handles = []
    looks = reference_lines(results)
    for arm, points in series.items():
        method = reference_of(arm, results)
        if method is None:
            continue
        x = [p.length for p in points]
        axes.fill_between(
            x, [p.low for p in points], [p.high for p in points], color="#9a9a9a", alpha=0.2, lw=0
        )
        mark = "_" if len(points) == 1 else ""
        handles += axes.plot(
            x, [p.value for p in points], color=GREY, marker=mark, zorder=1.5, gid=f"arm:{arm}",
            ls=looks[arm], label=reference_label(arm, method),
        )  # fmt: skip
    return handles


def reference_lines(results: Sequence[Result]) -> dict[str, Any]:
    """The line of each reference; further ones of a method, of other settings, have their own."""
    found: dict[str, Any] = {}
    used: dict[str, int] = {}
    for arm in arms(results):
        method = reference_of(arm, results)
        if method is not None:
            place = used.get(method, 0)
            used[method] = place + 1
            further = _FURTHER_LINES[(place - 1) % len(_FURTHER_LINES)]
            found[arm] = further if place else REFERENCE_LINES[method]
    return found


def reference_handle(arm: str, method: str, look: Any) -> Line2D:
    """A reference as a legend shows it."""
    return Line2D([], [], color=GREY, ls=look, label=reference_label(arm, method))


def reference_line(axes: Axes, arm: str, method: str, value: float, look: Any) -> Line2D:
    """A reference as a line across a panel."""
    line = axes.axhline(value, ls=look, color=GREY, lw=0.9, zorder=1, gid=f"arm:{arm}")
    line.set_label(reference_label(arm, method))
    return line
