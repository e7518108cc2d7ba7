"""Is one score higher than another, and does it still rise with length? 95 % intervals.

Differences are taken text by text where the predictions are there: arms and lengths agree on most
texts, so that they say far more than two intervals side by side. "Higher" and "lower" are meant
as of numbers; which of them is better, the metric knows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev, stdev

from reports.files import ACCURACY, Result
from reports.metrics import METRICS, Metric, metric_of
from reports.stats import Point, score_points, scored_cells, student

_Z = 1.959964


@dataclass(frozen=True)
class Difference:
    """A score minus another, with a 95 % interval. `paired`: the same texts, one by one.

    `worse`: the verdict on a first score that is clearly the worse one.
    """

    value: float
    low: float
    high: float
    paired: bool
    worse: str = "lower"

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, or `unclear` where the interval holds 0."""
        return "higher" if self.low > 0 else "lower" if self.high < 0 else "unclear"

    @property
    def outcome(self) -> str:
        """`better`, `worse`, or `unclear`: the verdict in the direction of the metric."""
        if self.verdict == "unclear":
            return "unclear"
        return "worse" if self.verdict == self.worse else "better"


def difference(
    first: Sequence[Result],
    second: Sequence[Result],
    a: Point,
    b: Point,
    metric: Metric = METRICS[ACCURACY],
) -> Difference:
    """Score of the first cells (point `a`) minus that of the second (point `b`).

    With outcomes on the same texts, right or wrong, the interval is Bonett and Price's adjusted
    Wald interval for paired proportions (2012), on each text's share of seeds that were right: one
    text more is counted each way. With a number for each text it is Student's for the mean of
    paired differences. Otherwise the two intervals are combined as of independent samples.
    """
    seeds = math.hypot(a.seed_half, b.seed_half)
    value = a.value - b.value
    steps = _steps(_by_text(first), _by_text(second))
    if steps:
        steps += [1.0, -1.0]
        middle, half = fmean(steps), _Z * pstdev(steps) / math.sqrt(len(steps))
        half = math.hypot(half, seeds)
        return Difference(value, middle - half, middle + half, True, metric.behind)
    steps = _steps(_marks(first), _marks(second)) if metric.by_text else []
    if len(steps) > 1:
        half = student(len(steps) - 1) * stdev(steps) / math.sqrt(len(steps))
        half = math.hypot(half, seeds)
        return Difference(value, value - half, value + half, True, metric.behind)
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Difference(value, low, high, False, metric.behind)


def _steps(here: dict[str, float], there: dict[str, float]) -> list[float]:
    """Differences text by text; empty unless nearly all texts are the same."""
    common = here.keys() & there.keys()
    if not common or len(common) < 0.9 * max(len(here), len(there)):
        return []
    return [here[name] - there[name] for name in sorted(common)]


def _by_text(cells: Sequence[Result]) -> dict[str, float]:
    """Share of seeds that were right, text by text; empty unless all read the same texts.

    A score of each text that is 0 or 1 throughout, as an exact match, is being right or wrong.
    """
    found = _means([cell.correct for cell in cells])
    if found or any(not set(cell.marks.values()) <= {0.0, 1.0} for cell in cells):
        return found
    return _marks(cells) if all(cell.row.get("metric") == "exact_match" for cell in cells) else {}


def _marks(cells: Sequence[Result]) -> dict[str, float]:
    """Mean score over seeds, text by text; empty unless all read the same texts."""
    return _means([cell.marks for cell in cells])


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    if not found or any(one.keys() != found[0].keys() for one in found):
        return {}
    return {name: fmean(one[name] for one in found) for name in found[0]}


@dataclass(frozen=True)
class Growth:
    """How one arm's score moves with length: the steps between neighbours, and its plateau.

    `plateau` is the shortest length that no longer one clearly beats (at 95 %); it is the longest
    length itself where it still becomes better at the end. A loss rises, in this sense, as it
    falls.
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
    """The growth of every arm that has scores at two lengths or more."""
    points = score_points(results)
    cells, metric = scored_cells(results), metric_of(results)
    found = []
    for arm, series in points.items():
        if len(series) < 2:
            continue

        def gain(a: Point, b: Point, arm: str = arm) -> Difference:
            return difference(cells[arm][a.length], cells[arm][b.length], a, b, metric)

        steps = [(b.length, a.length, gain(a, b)) for b, a in pairwise(series)]
        plateau = next(
            low.length
            for k, low in enumerate(series)
            if all(gain(high, low).outcome != "better" for high in series[k + 1 :])
        )
        found.append(Growth(arm, steps, plateau))
    return found
