"""From results to what the figures and sentences show. No drawing, no words.

Intervals are 95 %. A single score brings its own, from the result file. A mean over three seeds or
more adds the seeds' spread to it: all seeds are judged on the same texts, so that part does not
shrink with more of them. Two seeds say too little of their spread (Student's t has one degree of
freedom): their mean keeps the interval for the choice of texts. Means are over the seeds that all
arms have (`reports.seeds`); a mean of which seeds diverged has no interval.
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
from reports.seeds import Place, common_by_length, comparable_cells, places, seed_of

FEWEST_SEEDS = 3
"""Seeds that an interval over seeds needs."""


@dataclass(frozen=True)
class Point:
    """A value at a length with its interval or spread; `seeds` are the values behind a mean.

    `note` says which seeds are not in it, and why: `1 of 3 diverged`.
    """

    length: int
    value: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()
    seed_half: float = 0.0
    note: str = ""

    @property
    def without_interval(self) -> bool:
        """Whether nothing is known of how far off the value may be, as of a mean of what did not
        diverge."""
        return self.low == self.high


@dataclass(frozen=True)
class Try:
    """A learning rate of an arm: validation scores of its cells and their mean loss.

    Cells that failed are apart, by status; the loss is infinite where any cell has none. `left_out`
    counts cells of a length and seed that another rate of the arm has no cell for.
    """

    lr: float
    values: tuple[float, ...]
    failures: tuple[str, ...]
    loss: float = math.inf
    metric: Metric = METRICS[ACCURACY]
    left_out: int = 0

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
    """The learning rates tried for each arm, rising; references have none.

    Rates are compared over the lengths and seeds that all of an arm's rates have a cell for. Where
    there are none, the rates with the most cells are left to choose from.
    """
    found: dict[str, dict[float, list[Result]]] = defaultdict(lambda: defaultdict(list))
    trained = [r for r in results if r["kind"] == "train" and r["method"] not in REFERENCES]
    for result in trained:
        if result["lr"] is not None:
            found[str(result["arm"])][float(result["lr"])].append(result)
    metric = metric_of(trained)
    return {
        arm: [_try(lr, rates[lr], len(cells), metric) for lr, cells in sorted(every.items())]
        for arm, every in found.items()
        for rates in (_comparable_rates(every),)
    }


def _comparable_rates(rates: dict[float, list[Result]]) -> dict[float, list[Result]]:
    """Of each rate the cells of the lengths and seeds that all rates have a cell for."""
    runs = {lr: {(int(r["length"]), seed_of(r)) for r in cells} for lr, cells in rates.items()}
    shared = set.intersection(*runs.values())
    if shared:
        return {
            lr: [r for r in cells if (int(r["length"]), seed_of(r)) in shared]
            for lr, cells in rates.items()
        }
    most = max(len(own) for own in runs.values())
    return {lr: cells if len(runs[lr]) == most else [] for lr, cells in rates.items()}


def _try(lr: float, cells: Sequence[Result], run: int, metric: Metric) -> Try:
    well = [r for r in cells if r.ok]
    losses = [_or(r["validation_loss"] if r.ok else None, math.inf) for r in cells]
    return Try(
        lr,
        tuple(float(r["validation_score"]) for r in well if r["validation_score"] is not None),
        tuple(str(r["status"]) for r in cells if not r.ok),
        fmean(losses) if losses else math.inf,
        metric,
        run - len(cells),
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
    """Mean test score of each arm at each length, over the seeds that all arms have there.

    `results` are those of all arms that the points are set beside.
    """
    metric = metric_of(results)
    found = places(one_rate_an_arm(results))
    shared = common_by_length(found)
    series: Series = {}
    for arm, lengths in found.items():
        kept = {n: p.by_seed(shared[n]) for n, p in lengths.items() if p.comparable(shared[n])}
        spread = pooled_spread((lengths[n], cells) for n, cells in kept.items())
        points = [mean_point(lengths[n], cells, spread, metric) for n, cells in kept.items()]
        if points:
            series[arm] = points
    return series


def mean_point(
    place: Place, by_seed: Sequence[Sequence[Result]], spread: tuple[float, int], metric: Metric
) -> Point:
    """The mean of these cells of a place, a list a seed; `spread` as of `pooled_spread`."""
    cells = [cell for own in by_seed for cell in own]
    values = seed_scores(by_seed)
    mean = fmean(values)
    if place.diverged:  # the seeds that are left were not drawn at random
        return Point(place.length, mean, mean, mean, values, 0.0, place.note)
    low = fmean(_or(r["score_low"], r["score"]) for r in cells)
    high = fmean(_or(r["score_high"], r["score"]) for r in cells)
    half = 0.0
    if len(values) >= FEWEST_SEEDS and spread[1]:
        half = student(spread[1]) * spread[0] / math.sqrt(len(values))
    low, high = metric.clipped(
        mean - math.hypot(mean - low, half), mean + math.hypot(high - mean, half)
    )
    return Point(place.length, mean, low, high, values, half, place.note)


def seed_scores(by_seed: Iterable[Sequence[Result]]) -> tuple[float, ...]:
    """The score of each seed."""
    return tuple(fmean(float(r["score"]) for r in cells) for cells in by_seed)


def pooled_spread(
    found: Iterable[tuple[Place, Sequence[Sequence[Result]]]],
) -> tuple[float, int]:
    """Standard deviation between seeds, pooled over an arm's lengths, and degrees of freedom.

    Lengths with fewer than three seeds, or at which one diverged, are not in it.
    """
    scores = [seed_scores(by_seed) for place, by_seed in found if not place.diverged]
    groups = [group for group in scores if len(group) >= FEWEST_SEEDS]
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum(stdev(group) ** 2 * (len(group) - 1) for group in groups)
    return (math.sqrt(squares / freedom), freedom) if freedom else (0.0, 0)


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def cost_cells(results: Sequence[Result]) -> list[Result]:
    """The cells that cost figures rest on: probes where there are any, else training cells."""
    costly = [r for r in results if r["method"] not in REFERENCES]
    return [r for r in costly if r["kind"] == "probe"] or costly


def cost_points(results: Sequence[Result], column: str) -> Series:
    """A cost column of each arm by length: median over cells, with the widest spread given.

    The cells are those of the seeds that all arms have at that length.
    """
    series: Series = {}
    cells = comparable_cells(cost_cells(results), lambda r: r.ok and r[column] is not None)
    for arm, lengths in by_arm_and_length(cells).items():
        points = []
        for length, found in lengths.items():
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
