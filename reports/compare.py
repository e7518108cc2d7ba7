"""Differences between arms and between lengths, with 95 % intervals.

Differences are paired by test text where predictions are available: arms and lengths agree on most
texts, so a paired interval is much narrower. "Higher" and "lower" refer to numbers; the metric says
which is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean, pstdev, stdev

from harness.core.metrics import METRICS, Metric
from harness.core.result import ACCURACY
from reports.blocks import joined
from reports.frame import Result
from reports.stats import (
    Place,
    Point,
    common,
    mean_point,
    metric_of,
    one_rate_per_arm,
    places,
    pooled_spread,
    student,
)

NO_COMMON_SEED = "no common seed"
TWO_SEEDS = "two seeds are too few"
"""Two seeds show that seeds differ, but not by how much."""

_Z = 1.959964


@dataclass(frozen=True)
class Difference:
    """The difference of two scores with a 95 % interval. `paired`: by test text.

    `worse`: the verdict that means that the first score is worse.
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
    """Score of the first cells (point `a`) minus the score of the second cells (point `b`).

    Both have the same seeds (see `compare`); `by_seed` is False if one side is not trained. Paired
    differences are over the texts that both sides have.

    With correct or wrong answers on the same texts: Bonett and Price's adjusted Wald interval for
    paired proportions (2012), on each text's share of correct seeds. With a score for each text:
    Student's interval for the mean of paired differences. Otherwise the two intervals are combined
    as for independent samples. Intervals are within the range of such a difference.
    """
    seeds = math.hypot(a.seed_half, b.seed_half)
    most = math.inf if metric.low is None or metric.high is None else metric.high - metric.low

    def within(value: float, low: float, high: float, paired: bool) -> Difference:
        return Difference(
            value,
            max(-most, low),
            min(most, high),
            paired,
            "lower" if metric.higher_is_better else "higher",
        )

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
    """Differences by text, means over seeds; empty unless 90 % of the texts are the same."""
    both = here.keys() & there.keys()
    if not both or len(both) < 0.9 * max(len(here), len(there)):
        return []
    found: dict[str, list[float]] = {}
    for seed, text in sorted(both):
        found.setdefault(text, []).append(here[seed, text] - there[seed, text])
    return [fmean(gaps) for gaps in found.values()]


def _by_text(cells: Sequence[Result], by_seed: bool) -> _Texts:
    """Whether each seed was correct on each text; empty unless all cells have such outcomes.

    Scores of an exact match, which are 0 or 1, count as wrong and correct.
    """
    found = _means(cells, [cell["correct"] for cell in cells], by_seed)
    if found or any(not set(cell["example_scores"].values()) <= {0.0, 1.0} for cell in cells):
        return found
    exact = all(cell["metric"] == "exact_match" for cell in cells)
    return _marks(cells, by_seed) if exact else {}


def _marks(cells: Sequence[Result], by_seed: bool) -> _Texts:
    """The score of each text by seed; empty unless all cells have such scores."""
    return _means(cells, [cell["example_scores"] for cell in cells], by_seed)


def _means(cells: Sequence[Result], scores: Sequence[Mapping[str, float]], by_seed: bool) -> _Texts:
    if not all(scores):
        return {}
    found: dict[tuple[int, str], list[float]] = {}
    for cell, own in zip(cells, scores, strict=True):
        for text, score in own.items():
            found.setdefault((cell.seed if by_seed else 0, text), []).append(score)
    return {place: fmean(values) for place, values in found.items()}


@dataclass(frozen=True)
class Compared:
    """The difference of two places over their common seeds.

    `gap` is None without a common seed or with a diverged seed. `reason` says why there is no
    verdict; it is empty if both have all planned seeds, and these are not two.
    """

    gap: Difference | None
    seeds: frozenset[int]
    reason: str = ""

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, `unclear`; `none` if nothing can be concluded."""
        return "none" if self.reason or self.gap is None else self.gap.verdict

    @property
    def outcome(self) -> str:
        """`better`, `worse`, `unclear`; `none` if nothing can be concluded."""
        return "none" if self.reason or self.gap is None else self.gap.outcome


def compare(
    one: Mapping[int, Place], at: int, other: Mapping[int, Place], length: int, metric: Metric
) -> Compared:
    """Score of an arm at length `at` minus the score of another arm (or the same) at `length`.

    `one` and `other` are the places of the two arms by length: the spread between seeds is pooled
    over the lengths that both have.
    """
    first, second = one[at], other[length]
    seeds, reason = common([first, second]), _no_verdict([first, second])
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


def _no_verdict(found: Iterable[Place]) -> str:
    """Why nothing is concluded from these places; empty if every planned seed has a value."""
    reasons = [
        f"{place.arm}: {place.note or ('diverged' if place.diverged else 'not finished')}"
        for place in found
        if place.diverged or not place.complete
    ]
    return joined(*dict.fromkeys(reasons), by=" and ")


@dataclass(frozen=True)
class Growth:
    """How the score of an arm changes with length: steps between neighbours, and the plateau.

    `plateau` is the shortest length that no longer length is significantly better than (95 %); it
    is the longest length if the last step is an improvement. It is None if two lengths cannot be
    judged: a seed is missing or diverged, or there are two seeds.
    """

    arm: str
    steps: list[tuple[int, int, Compared]]
    plateau: int | None

    @property
    def rises(self) -> bool:
        """Whether some length is significantly better than the shortest."""
        return self.plateau is not None and self.plateau > self.steps[0][0]

    @property
    def to_the_end(self) -> bool:
        """Whether the longest length is an improvement over the length before it."""
        return self.plateau == self.steps[-1][1]


def growth(results: Sequence[Result]) -> list[Growth]:
    """The growth of every arm that has scores at two lengths or more, over common seeds."""
    metric = metric_of(results)
    found = []
    for arm, lengths in places(one_rate_per_arm(results)).items():
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
