"""Is one score higher than another, and does it still rise with length? 95 % intervals.

Differences are taken text by text where the predictions are there: arms and lengths agree on most
texts, so that they say far more than two intervals side by side. "Higher" and "lower" are meant
as of numbers; which of them is better, the metric knows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean, pstdev, stdev

from reports.files import ACCURACY, Result
from reports.metrics import METRICS, Metric, metric_of
from reports.seeds import NO_COMMON_SEED, TWO_SEEDS, Place, common, no_verdict, places, seed_of
from reports.stats import Point, mean_point, one_rate_an_arm, pooled_spread, student

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
    by_seed: bool = True,
) -> Difference:
    """Score of the first cells (point `a`) minus that of the second (point `b`).

    Both must be of the same seeds (`compare` sees to it); `by_seed` is False where one side is not
    trained and has no seeds. Paired differences are over the texts that both sides have.

    With outcomes on the same texts, right or wrong, the interval is Bonett and Price's adjusted
    Wald interval for paired proportions (2012), on each text's share of seeds that were right: one
    text more is counted each way. With a number for each text it is Student's for the mean of
    paired differences. Otherwise the two intervals are combined as of independent samples. No
    interval exceeds what a difference of two such scores can be.
    """
    seeds = math.hypot(a.seed_half, b.seed_half)
    most = math.inf if metric.most is None else metric.most

    def within(value: float, low: float, high: float, paired: bool) -> Difference:
        return Difference(value, max(-most, low), min(most, high), paired, metric.behind)

    steps = _steps(_by_text(first, by_seed), _by_text(second, by_seed))
    if steps:
        value = fmean(steps)
        steps += [1.0, -1.0]
        middle, half = fmean(steps), _Z * pstdev(steps) / math.sqrt(len(steps))
        half = math.hypot(half, seeds)
        return within(value, middle - half, middle + half, True)
    steps = _steps(_marks(first, by_seed), _marks(second, by_seed)) if metric.by_text else []
    if len(steps) > 1:
        value = fmean(steps)
        half = student(len(steps) - 1) * stdev(steps) / math.sqrt(len(steps))
        half = math.hypot(half, seeds)
        return within(value, value - half, value + half, True)
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return within(value, low, high, False)


_Texts = dict[tuple[int, str], float]
"""A score for each seed and text."""


def _steps(here: _Texts, there: _Texts) -> list[float]:
    """Differences text by text, means over seeds; empty unless nearly all texts are the same."""
    both = here.keys() & there.keys()
    if not both or len(both) < 0.9 * max(len(here), len(there)):
        return []
    found: dict[str, list[float]] = {}
    for seed, text in sorted(both):
        found.setdefault(text, []).append(here[seed, text] - there[seed, text])
    return [fmean(gaps) for gaps in found.values()]


def _by_text(cells: Sequence[Result], by_seed: bool) -> _Texts:
    """Whether each seed was right on each text; empty unless all cells have such outcomes.

    A score of each text that is 0 or 1 throughout, as an exact match, is being right or wrong.
    """
    found = _means(cells, [cell.correct for cell in cells], by_seed)
    if found or any(not set(cell.marks.values()) <= {0.0, 1.0} for cell in cells):
        return found
    exact = all(cell.row.get("metric") == "exact_match" for cell in cells)
    return _marks(cells, by_seed) if exact else {}


def _marks(cells: Sequence[Result], by_seed: bool) -> _Texts:
    """The score of each text by seed; empty unless all cells have such scores."""
    return _means(cells, [cell.marks for cell in cells], by_seed)


def _means(cells: Sequence[Result], scores: Sequence[Mapping[str, float]], by_seed: bool) -> _Texts:
    if not all(scores):
        return {}
    found: dict[tuple[int, str], list[float]] = {}
    for cell, own in zip(cells, scores, strict=True):
        for text, score in own.items():
            found.setdefault((seed_of(cell) if by_seed else 0, text), []).append(score)
    return {place: fmean(values) for place, values in found.items()}


@dataclass(frozen=True)
class Compared:
    """Two places side by side, over their common seeds.

    `gap` is None where they have no seed in common or a seed of theirs diverged. `reason` says why
    there is no verdict; it is empty where both have all planned seeds, and these are not two.
    """

    gap: Difference | None
    seeds: frozenset[int]
    reason: str = ""

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, `unclear`; `none` where nothing can be concluded."""
        return "none" if self.reason or self.gap is None else self.gap.verdict

    @property
    def outcome(self) -> str:
        """`better`, `worse`, `unclear`; `none` where nothing can be concluded."""
        return "none" if self.reason or self.gap is None else self.gap.outcome


def compare(
    one: Mapping[int, Place], at: int, other: Mapping[int, Place], length: int, metric: Metric
) -> Compared:
    """Score of an arm at a length minus that of another, or of the same arm at another length.

    `one` and `other` are the places of the two arms by length: the spread between an arm's seeds is
    pooled over the lengths that both have.
    """
    first, second = one[at], other[length]
    seeds, reason = common([first, second]), no_verdict([first, second])
    if not first.comparable(seeds) or not second.comparable(seeds):
        return Compared(None, seeds, reason if seeds else NO_COMMON_SEED)
    if first.diverged or second.diverged:
        return Compared(None, seeds, reason)
    shared = {n: common([one[n], other[n]]) for n in one.keys() & other.keys()}
    points = []
    for own, place in ((one, first), (other, second)):
        spread = pooled_spread((own[n], own[n].by_seed(s)) for n, s in shared.items())
        points.append(mean_point(place, place.by_seed(seeds), spread, metric))
    a, b = points
    by_seed = not (first.once or second.once)
    gap = difference(first.cells(seeds), second.cells(seeds), a, b, metric, by_seed)
    return Compared(gap, seeds, reason or (TWO_SEEDS if len(seeds) == 2 else ""))


@dataclass(frozen=True)
class Growth:
    """How one arm's score moves with length: the steps between neighbours, and its plateau.

    `plateau` is the shortest length that no longer one clearly beats (at 95 %); it is the longest
    length itself where it still becomes better at the end. It is None where two of the lengths
    cannot be judged: a seed is missing or diverged, or there are two seeds. A loss rises, in this
    sense, as it falls.
    """

    arm: str
    steps: list[tuple[int, int, Compared]]
    plateau: int | None

    @property
    def rises(self) -> bool:
        """Whether some length is clearly better than the shortest one."""
        return self.plateau is not None and self.plateau > self.steps[0][0]

    @property
    def to_the_end(self) -> bool:
        """Whether the longest length measured still gains over the one before it."""
        return self.plateau == self.steps[-1][1]


def growth(results: Sequence[Result]) -> list[Growth]:
    """The growth of every arm that has scores at two lengths or more, over common seeds."""
    metric = metric_of(results)
    found = []
    for arm, lengths in places(one_rate_an_arm(results)).items():
        have = {n: place for n, place in lengths.items() if place.finished}
        if len(have) < 2:
            continue
        gaps = {(a, b): compare(have, b, have, a, metric) for a, b in combinations(have, 2)}
        plateau = next(
            low
            for low in have
            if all(gaps[low, high].outcome != "better" for high in have if high > low)
        )
        decided = not any(gap.reason for gap in gaps.values())
        steps = [(a, b, gaps[a, b]) for a, b in pairwise(have)]
        found.append(Growth(arm, steps, plateau if decided else None))
    return found
