"""From results to what the figures and sentences show. No drawing, no words.

Intervals are 95 %. A single score brings its own, from the result file. A mean over
seeds adds the seeds' spread to it: all seeds are judged on the same texts, so that part does not
shrink with more of them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Any

from reports.files import ACCURACY, FAILURES, REFERENCES, Result
from reports.metrics import METRICS, Metric, metric_of


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
class Try:
    """A learning rate of an arm: validation scores of its cells and their mean loss.

    Cells that failed are apart, by status; the loss is infinite where any cell has none.
    """

    lr: float
    values: tuple[float, ...]
    failures: tuple[str, ...]
    loss: float = math.inf
    metric: Metric = METRICS[ACCURACY]

    @property
    def score(self) -> float:
        """Mean validation score; a failed cell counts as the worst: 0, or an infinite loss."""
        values = [*self.values, *(self.metric.failed for _ in self.failures)]
        return fmean(values) if values else self.metric.failed


Series = dict[str, list[Point]]


def arms(results: Iterable[Result]) -> list[str]:
    """Labels of the arms, in the order of the results."""
    return list(dict.fromkeys(str(result["arm"]) for result in results))


def reference_of(arm: str, results: Iterable[Result]) -> str | None:
    """The reference method that an arm is: the linear model on words, the untrained backbone."""
    methods = {str(r["method"]) for r in results if r["arm"] == arm}
    return next((method for method in REFERENCES if method in methods), None)


def by_arm_and_length(results: Iterable[Result]) -> dict[str, dict[int, list[Result]]]:
    """Results of each arm at each length, lengths rising."""
    found: dict[str, dict[int, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in sorted(results, key=lambda r: r.order):
        found[str(result["arm"])][int(result["length"])].append(result)
    return {arm: dict(sorted(lengths.items())) for arm, lengths in found.items()}


def tries(results: Iterable[Result]) -> dict[str, list[Try]]:
    """The learning rates tried for each arm, rising; references have none."""
    found: dict[str, dict[float, list[Result]]] = defaultdict(lambda: defaultdict(list))
    trained = [r for r in results if r["kind"] == "train" and r["method"] not in REFERENCES]
    for result in trained:
        if result["lr"] is not None:
            found[str(result["arm"])][float(result["lr"])].append(result)
    metric = metric_of(trained)
    return {
        arm: [_try(lr, cells, metric) for lr, cells in sorted(rates.items())]
        for arm, rates in found.items()
    }


def _try(lr: float, cells: Sequence[Result], metric: Metric) -> Try:
    well = [r for r in cells if r.ok]
    losses = [_or(r["validation_loss"] if r.ok else None, math.inf) for r in cells]
    return Try(
        lr,
        tuple(float(r["validation_score"]) for r in well if r["validation_score"] is not None),
        tuple(str(r["status"]) for r in cells if not r.ok),
        fmean(losses),
        metric,
    )


def best_try(rates: Iterable[Try]) -> Try:
    """The rate with the best mean validation score, then the lowest validation loss."""
    return max(rates, key=lambda t: (t.metric.rank(t.score), -t.loss))


def at_edge(rates: Sequence[Try]) -> bool:
    """Whether the best of several rates is the lowest or the highest: a better may lie beyond."""
    return len(rates) > 1 and best_try(rates).lr in (rates[0].lr, rates[-1].lr)


def one_rate_an_arm(results: Sequence[Result]) -> list[Result]:
    """Leave of each arm only its best learning rate, judged on validation, never on test."""
    best = {arm: best_try(rates).lr for arm, rates in tries(results).items() if len(rates) > 1}
    return [r for r in results if r["arm"] not in best or r["lr"] == best[r["arm"]]]


def score_points(results: Sequence[Result]) -> Series:
    """Mean test score over seeds of each arm at each length, where there is one."""
    series: Series = {}
    metric = metric_of(results)
    for arm, lengths in by_arm_and_length(one_rate_an_arm(results)).items():
        scored = {
            length: [r for r in cells if r.ok and r["score"] is not None]
            for length, cells in lengths.items()
        }
        spread = _pooled([[float(r["score"]) for r in cells] for cells in scored.values()])
        points = [_mean(n, cells, spread, metric) for n, cells in scored.items() if cells]
        if points:
            series[arm] = points
    return series


def _mean(length: int, cells: list[Result], spread: tuple[float, int], metric: Metric) -> Point:
    values = tuple(float(r["score"]) for r in cells)
    mean = fmean(values)
    low = fmean(_or(r["score_low"], r["score"]) for r in cells)
    high = fmean(_or(r["score_high"], r["score"]) for r in cells)
    half = 0.0
    if len(values) > 1 and spread[1]:
        half = student(spread[1]) * spread[0] / math.sqrt(len(values))
    low, high = metric.clipped(
        mean - math.hypot(mean - low, half), mean + math.hypot(high - mean, half)
    )
    return Point(length, mean, low, high, values, half)


def _pooled(groups: list[list[float]]) -> tuple[float, int]:
    """Standard deviation between seeds, pooled over an arm's lengths, and degrees of freedom."""
    freedom = sum(len(group) - 1 for group in groups if group)
    squares = sum(stdev(group) ** 2 * (len(group) - 1) for group in groups if len(group) > 1)
    return (math.sqrt(squares / freedom), freedom) if freedom else (0.0, 0)


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def scored_cells(results: Sequence[Result]) -> dict[str, dict[int, list[Result]]]:
    """The cells behind `score_points`."""
    scored = [r for r in one_rate_an_arm(results) if r.ok and r["score"] is not None]
    return by_arm_and_length(scored)


def cost_cells(results: Sequence[Result]) -> list[Result]:
    """The cells that cost figures rest on: probes where there are any, else training cells."""
    costly = [r for r in results if r["method"] not in REFERENCES]
    return [r for r in costly if r["kind"] == "probe"] or costly


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


def longest_common(series: Series) -> int | None:
    """The longest of the lengths that most arms have a value at; None where nothing has one."""
    reached = Counter(p.length for points in series.values() for p in points)
    most = max(reached.values(), default=0)
    return max((n for n, times in reached.items() if times == most), default=None)


def failures(results: Iterable[Result]) -> list[Result]:
    """Cells that failed."""
    return [result for result in results if result["status"] in FAILURES]


def _or(value: Any, otherwise: Any) -> float:
    return float(otherwise if value is None else value)
