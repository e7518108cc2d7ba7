"""From results to what the figures and sentences show. No drawing, no words.

Intervals are 95 %. A single accuracy brings its own (Wilson, from the result file). A mean over
seeds adds the seeds' spread to it: all seeds are judged on the same texts, so that part does not
shrink with more of them. Differences are taken text by text where the predictions are there.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from reports.files import BASELINE, FAILURES, Result

_Z = 1.959964


@dataclass(frozen=True)
class Point:
    """A value at a length with its interval or spread; `seeds` are the values behind a mean."""

    length: int
    value: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()
    seed_half: float = 0.0


@dataclass(frozen=True)
class Difference:
    """An accuracy minus another, with a 95 % interval. `paired`: the same texts, one by one."""

    value: float
    low: float
    high: float
    paired: bool

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, or `unclear` where the interval holds 0."""
        return "higher" if self.low > 0 else "lower" if self.high < 0 else "unclear"


@dataclass(frozen=True)
class Try:
    """A learning rate of an arm: validation accuracies by seed and length; failures apart."""

    lr: float
    values: tuple[float, ...]
    failures: tuple[str, ...]

    @property
    def score(self) -> float:
        """Mean validation accuracy; a failed cell counts as 0."""
        cells = len(self.values) + len(self.failures)
        return sum(self.values) / cells if cells else 0.0


Series = dict[str, list[Point]]


def arms(results: Iterable[Result]) -> list[str]:
    """Labels of the arms, in the order of the results."""
    return list(dict.fromkeys(str(result["arm"]) for result in results))


def by_arm_and_length(results: Iterable[Result]) -> dict[str, dict[int, list[Result]]]:
    """Results of each arm at each length, lengths rising."""
    found: dict[str, dict[int, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in sorted(results, key=lambda r: r.order):
        found[str(result["arm"])][int(result["length"])].append(result)
    return {arm: dict(sorted(lengths.items())) for arm, lengths in found.items()}


def tries(results: Iterable[Result]) -> dict[str, list[Try]]:
    """The learning rates tried for each arm, rising; the baseline has none."""
    found: dict[str, dict[float, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        if result["kind"] == "train" and result["method"] != BASELINE and result["lr"] is not None:
            found[str(result["arm"])][float(result["lr"])].append(result)
    return {
        arm: [
            Try(
                lr,
                tuple(
                    float(r["validation_accuracy"])
                    for r in cells
                    if r.ok and r["validation_accuracy"] is not None
                ),
                tuple(str(r["status"]) for r in cells if not r.ok),
            )
            for lr, cells in sorted(rates.items())
        ]
        for arm, rates in found.items()
    }


def one_rate_an_arm(results: Sequence[Result]) -> list[Result]:
    """Leave of each arm only its best learning rate, by mean validation accuracy, never test."""
    best = {
        arm: max(rates, key=lambda t: t.score).lr
        for arm, rates in tries(results).items()
        if len(rates) > 1
    }
    return [r for r in results if r["arm"] not in best or r["lr"] == best[r["arm"]]]


def accuracy_points(results: Sequence[Result]) -> Series:
    """Mean test accuracy over seeds of each arm at each length, where there is one."""
    series: Series = {}
    for arm, lengths in by_arm_and_length(one_rate_an_arm(results)).items():
        scored = {
            length: [r for r in cells if r.ok and r["accuracy"] is not None]
            for length, cells in lengths.items()
        }
        spread = _pooled([[float(r["accuracy"]) for r in cells] for cells in scored.values()])
        points = [_mean(length, cells, spread) for length, cells in scored.items() if cells]
        if points:
            series[arm] = points
    return series


def _mean(length: int, cells: list[Result], spread: tuple[float, int]) -> Point:
    values = tuple(float(r["accuracy"]) for r in cells)
    mean = fmean(values)
    low = fmean(_or(r["accuracy_low"], r["accuracy"]) for r in cells)
    high = fmean(_or(r["accuracy_high"], r["accuracy"]) for r in cells)
    half = 0.0
    if len(values) > 1 and spread[1]:
        half = _t(spread[1]) * spread[0] / math.sqrt(len(values))
    return Point(
        length,
        mean,
        max(0.0, mean - math.hypot(mean - low, half)),
        min(1.0, mean + math.hypot(high - mean, half)),
        values,
        half,
    )


def _pooled(groups: list[list[float]]) -> tuple[float, int]:
    """Standard deviation between seeds, pooled over an arm's lengths, and degrees of freedom."""
    freedom = sum(len(group) - 1 for group in groups if group)
    squares = sum(stdev(group) ** 2 * (len(group) - 1) for group in groups if len(group) > 1)
    return (math.sqrt(squares / freedom), freedom) if freedom else (0.0, 0)


def _t(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def difference(
    longer: Sequence[Result], shorter: Sequence[Result], a: Point, b: Point
) -> Difference:
    """Accuracy of the first cells (point `a`) minus that of the second (point `b`).

    With predictions on the same texts the interval is Bonett and Price's adjusted Wald interval
    for paired proportions (2012), on each text's share of seeds that were right: one text more is
    counted each way. Otherwise the two intervals are combined as of independent samples.
    """
    seeds = math.hypot(a.seed_half, b.seed_half)
    first, second = _by_text(longer), _by_text(shorter)
    common = first.keys() & second.keys()
    if common and len(common) >= 0.9 * max(len(first), len(second)):
        steps = [first[name] - second[name] for name in sorted(common)] + [1.0, -1.0]
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
    if not cells or not all(cell.correct for cell in cells):
        return {}
    return {
        name: fmean(cell.correct.get(name, False) for cell in cells) for name in cells[0].correct
    }


@dataclass(frozen=True)
class Growth:
    """How one arm's accuracy moves with length: the steps between neighbours, and its plateau.

    `plateau` is the shortest length that no longer one clearly beats (at 95 %); it is the longest
    length itself where accuracy still rises at the end.
    """

    arm: str
    steps: list[tuple[int, int, Difference]]
    plateau: int


def growth(results: Sequence[Result]) -> list[Growth]:
    """The growth of every arm that has accuracies at two lengths or more."""
    points = accuracy_points(results)
    cells = scored_cells(results)
    found = []
    for arm, series in points.items():
        if len(series) < 2:
            continue

        def gain(a: Point, b: Point, arm: str = arm) -> Difference:
            return difference(cells[arm][a.length], cells[arm][b.length], a, b)

        steps = [(b.length, a.length, gain(a, b)) for b, a in zip(series, series[1:], strict=False)]
        plateau = next(
            low.length
            for k, low in enumerate(series)
            if all(gain(high, low).verdict != "higher" for high in series[k + 1 :])
        )
        found.append(Growth(arm, steps, plateau))
    return found


def scored_cells(results: Sequence[Result]) -> dict[str, dict[int, list[Result]]]:
    """The cells behind `accuracy_points`."""
    scored = [r for r in one_rate_an_arm(results) if r.ok and r["accuracy"] is not None]
    return by_arm_and_length(scored)


def cost_cells(results: Sequence[Result]) -> list[Result]:
    """The cells that cost figures rest on: probes where there are any, else training cells."""
    probes = [r for r in results if r["kind"] == "probe"]
    return probes or [r for r in results if r["method"] != BASELINE]


def cost_points(results: Sequence[Result], column: str) -> Series:
    """A cost column of each arm by length: median over cells, with the widest spread given."""
    series: Series = {}
    for arm, lengths in by_arm_and_length(cost_cells(results)).items():
        points = []
        for length, cells in lengths.items():
            found = [r for r in cells if r.ok and r[column] is not None]
            if not found:
                continue
            values = tuple(float(r[column]) for r in found)
            lows = [_or(r.row.get(f"{column}_low"), r[column]) for r in found]
            highs = [_or(r.row.get(f"{column}_high"), r[column]) for r in found]
            points.append(Point(length, median(values), min(lows), max(highs), values))
        if points:
            series[arm] = points
    return series


def failures(results: Iterable[Result]) -> list[Result]:
    """Cells that failed."""
    return [result for result in results if result["status"] in FAILURES]


def _or(value: Any, otherwise: Any) -> float:
    return float(otherwise if value is None else value)
