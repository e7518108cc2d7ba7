"""Is one score higher than another, and does it still rise with length? 95 % intervals.

Differences are taken text by text where the predictions are there: arms and lengths agree on most
texts, so that they say far more than two intervals side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from reports.files import Result
from reports.stats import Point, score_points, scored_cells

_Z = 1.959964


@dataclass(frozen=True)
class Difference:
    """A score minus another, with a 95 % interval. `paired`: the same texts, one by one."""

    value: float
    low: float
    high: float
    paired: bool

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, or `unclear` where the interval holds 0."""
        return "higher" if self.low > 0 else "lower" if self.high < 0 else "unclear"


def difference(first: Sequence[Result], second: Sequence[Result], a: Point, b: Point) -> Difference:
    """Accuracy of the first cells (point `a`) minus that of the second (point `b`).

    With predictions on the same texts the interval is Bonett and Price's adjusted Wald interval
    for paired proportions (2012), on each text's share of seeds that were right: one text more is
    counted each way. Otherwise the two intervals are combined as of independent samples.
    """
    seeds = math.hypot(a.seed_half, b.seed_half)
    here, there = _by_text(first), _by_text(second)
    common = here.keys() & there.keys()
    if common and len(common) >= 0.9 * max(len(here), len(there)):
        steps = [here[name] - there[name] for name in sorted(common)] + [1.0, -1.0]
        count = len(steps)
        middle = sum(steps) / count
        half = _Z * math.sqrt((sum(s * s for s in steps) / count - middle**2) / count)
        half = math.hypot(half, seeds)
        return Difference(a.value - b.value, middle - half, middle + half, paired=True)
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Difference(value, low, high, paired=False)


def _by_text(cells: Sequence[Result]) -> dict[str, float]:
    """Share of seeds that were right, text by text; empty unless all read the same texts."""
    if not cells or any(cell.correct.keys() != cells[0].correct.keys() for cell in cells):
        return {}
    return {name: fmean(cell.correct[name] for cell in cells) for name in cells[0].correct}


@dataclass(frozen=True)
class Growth:
    """How one arm's score moves with length: the steps between neighbours, and its plateau.

    `plateau` is the shortest length that no longer one clearly beats (at 95 %); it is the longest
    length itself where it still rises at the end.
    """

    arm: str
    steps: list[tuple[int, int, Difference]]
    plateau: int

    @property
    def rises(self) -> bool:
        """Whether some length is clearly better than the shortest one."""
        return self.plateau > self.steps[0][0]

    @property
    def to_the_end(self) -> bool:
        """Whether the longest length measured still gains over the one before it."""
        return self.plateau == self.steps[-1][1]


def growth(results: Sequence[Result]) -> list[Growth]:
    """The growth of every arm that has accuracies at two lengths or more."""
    points = score_points(results)
    cells = scored_cells(results)
    found = []
    for arm, series in points.items():
        if len(series) < 2:
            continue

        def gain(a: Point, b: Point, arm: str = arm) -> Difference:
            return difference(cells[arm][a.length], cells[arm][b.length], a, b)

        steps = [(b.length, a.length, gain(a, b)) for b, a in pairwise(series)]
        plateau = next(
            low.length
            for k, low in enumerate(series)
            if all(gain(high, low).verdict != "higher" for high in series[k + 1 :])
        )
        found.append(Growth(arm, steps, plateau))
    return found
