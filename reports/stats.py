"""Means over common seeds, learning rates, costs: the numbers of figures and tables.

Intervals are 95 %. A mean over three or more seeds has the interval of a contrast
(`harness/core/inference.py`): it covers the choice of test texts and of seeds. Scores of one or two
seeds have the intervals of their result files, which cover the choice of texts only.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

import numpy as np

from harness.core.inference import FEWEST_SEEDS, LEVEL, Array, Estimate, estimate, student_quantile
from harness.core.methods import BASELINES
from harness.core.metrics import METRICS, Metric, common_metric, rank_of_rate
from harness.core.result import ACCURACY
from reports.frame import Result
from reports.seeds import (
    Place,
    Places,
    by_arm_and_length,
    common_by_length,
    comparable_cells,
    places,
)


@dataclass(frozen=True)
class Point:
    """A value at a length with its interval; `seeds` are the values behind a mean.

    `note`: `1 of 3 diverged` where the mean lacks seeds.
    """

    length: int
    value: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()
    note: str = ""

    @property
    def without_interval(self) -> bool:
        """Whether there is no interval, as for a mean of the seeds that did not diverge."""
        return self.low == self.high


Series = dict[str, list[Point]]


@dataclass(frozen=True)
class LearningRateTrial:
    """A learning rate of an arm: validation scores of its cells, and their mean loss.

    `failures` are the statuses of failed cells. `left_out` counts cells of a length and seed that
    another rate of the arm has no cell for.
    """

    lr: float
    values: tuple[float, ...]
    failures: tuple[str, ...]
    loss: float = math.inf
    metric: Metric = METRICS[ACCURACY]
    left_out: int = 0

    @property
    def score(self) -> float:
        """Mean validation score; a failed cell counts as the worst score."""
        values = [*self.values, *(self.metric.worst for _ in self.failures)]
        return fmean(values) if values else self.metric.worst


def metric_of(results: Iterable[Result]) -> Metric:
    """The metric of these cells; accuracy if none has a score."""
    cells = [r for r in results if r["score"] is not None or r["validation_score"] is not None]
    return common_metric(str(r["metric"] or "score") for r in cells)


def baseline_of(arm: str, results: Iterable[Result]) -> str | None:
    """The method of an arm if it is a baseline: TF-IDF or the zero-shot backbone."""
    methods = {str(r["method"]) for r in results if r["arm"] == arm}
    return next((method for method in BASELINES if method in methods), None)


def trials(results: Iterable[Result]) -> dict[str, list[LearningRateTrial]]:
    """The learning rates of each arm, ascending; baselines have none.

    Rates are compared over the lengths and seeds that all rates of an arm have a cell for. If
    there are none, only the rates with the most cells can be chosen.
    """
    found: dict[str, dict[float, list[Result]]] = defaultdict(lambda: defaultdict(list))
    trained = [r for r in results if r["kind"] == "train" and r["method"] not in BASELINES]
    for result in trained:
        if result["lr"] is not None:
            found[str(result["arm"])][float(result["lr"])].append(result)
    metric = metric_of(trained)
    return {
        arm: [_trial(lr, rates[lr], len(cells), metric) for lr, cells in sorted(every.items())]
        for arm, every in found.items()
        for rates in (_comparable_rates(every),)
    }


def _comparable_rates(rates: dict[float, list[Result]]) -> dict[float, list[Result]]:
    runs = {lr: {(int(r["length"]), r.seed) for r in cells} for lr, cells in rates.items()}
    shared = set.intersection(*runs.values())
    if shared:
        return {
            lr: [r for r in cells if (int(r["length"]), r.seed) in shared]
            for lr, cells in rates.items()
        }
    most = max(len(own) for own in runs.values())
    return {lr: cells if len(runs[lr]) == most else [] for lr, cells in rates.items()}


def _trial(lr: float, cells: Sequence[Result], run: int, metric: Metric) -> LearningRateTrial:
    losses = [_or(r["validation_loss"] if r.ok else None, math.inf) for r in cells]
    return LearningRateTrial(
        lr,
        tuple(
            float(r["validation_score"])
            for r in cells
            if r.ok and r["validation_score"] is not None
        ),
        tuple(str(r["status"]) for r in cells if not r.ok),
        fmean(losses) if losses else math.inf,
        metric,
        run - len(cells),
    )


def best_trial(rates: Iterable[LearningRateTrial]) -> LearningRateTrial:
    """The rate with the lowest mean validation loss, as `bench-long tuned` chooses it."""
    return max(rates, key=lambda t: rank_of_rate([t.loss]))


def at_edge(rates: Sequence[LearningRateTrial]) -> bool:
    """Whether the best of several rates is the lowest or the highest of them."""
    return len(rates) > 1 and best_trial(rates).lr in (rates[0].lr, rates[-1].lr)


def one_rate_per_arm(results: Sequence[Result]) -> list[Result]:
    """Keep for each arm only its best learning rate, chosen by validation loss."""
    best = {arm: best_trial(rates).lr for arm, rates in trials(results).items() if len(rates) > 1}
    return [r for r in results if r["arm"] not in best or r["lr"] == best[r["arm"]]]


def score_points(results: Sequence[Result]) -> Series:
    """Mean test score of each arm at each length, over the seeds that all arms have there."""
    return mean_points(places(one_rate_per_arm(results)), metric_of(results))


def mean_points(found: Places, metric: Metric) -> Series:
    """Mean test score of each place that has the seeds of all arms at its length."""
    shared = common_by_length(found)
    series: Series = {}
    for arm, lengths in found.items():
        kept = [p for n, p in lengths.items() if p.comparable(shared[n])]
        if kept:
            series[arm] = [_mean_point(p, shared[p.length], metric) for p in kept]
    return series


def _mean_point(place: Place, seeds: frozenset[int], metric: Metric) -> Point:
    by_seed = place.by_seed(seeds)
    cells = [cell for own in by_seed for cell in own]
    values = tuple(fmean(float(r["score"]) for r in own) for own in by_seed)
    mean = fmean(values)
    if place.diverged:  # the remaining seeds are not a random sample
        return Point(place.length, mean, mean, mean, values, place.note)
    low = fmean(_or(r["score_low"], r["score"]) for r in cells)
    high = fmean(_or(r["score_high"], r["score"]) for r in cells)
    if len(values) >= FEWEST_SEEDS:
        contrast = estimated([(place, 1.0)], seeds)
        if contrast:
            half = float(contrast.half_width())
            low, high = mean - half, mean + half
        else:  # the variance of single answers, which both parts contain, is not known
            half = float(student_quantile(LEVEL / 2, np.array(len(values) - 1.0))) * stdev(values)
            half /= math.sqrt(len(values))
            low, high = mean - math.hypot(mean - low, half), mean + math.hypot(high - mean, half)
        low, high = metric.clipped(low, high)
    return Point(place.length, mean, low, high, values, place.note)


def estimated(weights: Iterable[tuple[Place, float]], seeds: frozenset[int]) -> Estimate | None:
    """A weighted sum of mean scores over common texts; None without values by text.

    Places of one arm share their seeds. Less than 90 % common texts count as none.
    """
    arms: dict[str, list[tuple[list[_Texts], float]]] = defaultdict(list)
    fixed: dict[str, bool] = {}
    for place, weight in weights:
        fixed[place.arm] = place.once
        arms[place.arm].append((_texts(place, seeds), weight))
    every = [ids for own in arms.values() for rows, _ in own for ids, _ in rows]
    common_ids = _common_ids(every)
    if len(common_ids) < max(2, 0.9 * max(map(len, every))):
        return None
    scores: dict[str, Array] = {}
    swing, shares = 0.0, True
    for arm, own in arms.items():
        for rows, weight in own:
            matrix = np.stack([_chosen(one, common_ids) for one in rows])
            shares = shares and bool(((matrix == 0.0) | (matrix == 1.0)).all())
            swing += abs(weight) / 2
            scores[arm] = scores.get(arm, 0.0) + weight * matrix
    trained = [y for arm, y in scores.items() if not fixed[arm]]
    untrained = [y for arm, y in scores.items() if fixed[arm]]
    return estimate([*trained, *untrained], len(trained), swing if shares else 0.0)


_Ids = tuple[str, ...]
_Texts = tuple[_Ids, Array]
"""Ids of texts in order, and their values."""


def _texts(place: Place, seeds: frozenset[int]) -> list[_Texts]:
    """The value of each text by seed; a place that is not trained has one row."""
    rows: list[list[_Texts]] = [
        [cell["texts"].by_id for cell in own] for own in place.by_seed(seeds)
    ]
    rows = [[texts for own in rows for texts in own]] if place.once else rows
    return [own[0] if len(own) == 1 else _mean_texts(own) for own in rows]


def _mean_texts(own: Sequence[_Texts]) -> _Texts:
    """The mean of several cells for each of their common texts."""
    ids = _common_ids([ids for ids, _ in own])
    columns = np.stack([_chosen(one, ids) for one in own], axis=-1)
    return ids, np.array([fmean(values) for values in columns.tolist()], dtype=np.float64)


def _common_ids(every: Sequence[_Ids]) -> _Ids:
    """The ids that all have, in order. Cells of one task have the same ids, which is quick."""
    if all(ids == every[0] for ids in every):
        return every[0]
    return tuple(sorted(set.intersection(*map(set, every))))


def _chosen(texts: _Texts, chosen: _Ids) -> Array:
    ids, values = texts
    if ids == chosen:
        return values
    places = {one: k for k, one in enumerate(ids)}
    return values[[places[one] for one in chosen]]


def cost_cells(results: Sequence[Result]) -> list[Result]:
    """The cells of cost figures: probes if there are any, else training cells."""
    costly = [r for r in results if r["method"] not in BASELINES]
    return [r for r in costly if r["kind"] == "probe"] or costly


def cost_points(results: Sequence[Result], column: str) -> Series:
    """A cost column of each arm by length: the median over cells, with the widest spread."""
    series: Series = {}
    cells = comparable_cells(cost_cells(results), lambda r: r.ok and r[column] is not None)
    for arm, lengths in by_arm_and_length(cells).items():
        points = []
        for length, found in lengths.items():
            values = tuple(float(r[column]) for r in found)
            lows = [_or(r.get(f"{column}_low"), r[column]) for r in found]
            highs = [_or(r.get(f"{column}_high"), r[column]) for r in found]
            points.append(Point(length, median(values), min(lows), max(highs), values))
        series[arm] = points
    return series


def peak_column(results: Sequence[Result]) -> str:
    """The end of the columns that hold peaks of memory: live tensors if every cell has them.

    Training cells and files of earlier versions have the peak of the process only.
    """
    cells = [r for r in cost_cells(results) if r.ok]
    live = bool(cells) and all(r["train_live_peak_bytes"] is not None for r in cells)
    return "live_peak_bytes" if live else "peak_bytes"


def longest_common(series: Series) -> int | None:
    """The longest of the lengths that most arms have a value at; None without values."""
    reached = Counter(p.length for points in series.values() for p in points)
    most = max(reached.values(), default=0)
    return max((n for n, times in reached.items() if times == most), default=None)


def _or(value: object, otherwise: object) -> float:
    return float(otherwise if value is None else value)  # type: ignore[arg-type]
