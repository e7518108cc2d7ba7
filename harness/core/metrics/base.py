"""What a metric is, and the registry of all metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.core.metrics.intervals import bootstrap, jackknife, wilson

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Values = Sequence[Any] | Array


def mean(rows: Array) -> Array:
    """Return the mean over examples: a `statistic`."""
    means: Array = rows.sum(1)[:, 0] / rows.shape[1]
    return means


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: the name in result files and in task metadata.
        label: the name in figures and tables.
        rows: (predicted, targets) -> numbers of shape (examples, k), all that the score needs.
        statistic: rows of shape (samples, examples, k) -> scores of shape (samples,).
        answers: the kinds of answers that it scores (`TaskType.answers`).
        unit: for axes, or "".
        low: the lowest possible score; None if there is no bound.
        high: the highest possible score; None if there is no bound.
        higher_is_better: whether a higher score is better.
        interval: how the 95 % interval is made: Wilson's for a share of correct answers, or the
            percentile bootstrap over test examples (Efron, 1979).
        by_text: whether result files hold the score of every test example
            (`predictions.scores`), whose mean is the score (a loss weighs them by tokens).
            Accuracy needs no such list: it follows from labels and predictions.
    """

    name: str
    label: str
    rows: Callable[[Values, Values], Array]
    statistic: Callable[[Array], Array]
    answers: tuple[str, ...] = ()
    unit: str = ""
    low: float | None = 0.0
    high: float | None = 1.0
    higher_is_better: bool = True
    interval: Literal["Wilson", "bootstrap"] = "bootstrap"
    by_text: bool = False

    def score(self, predicted: Values, targets: Values) -> float:
        """Return the score of all examples; 0 without examples."""
        if not len(targets):
            return 0.0
        return float(self.statistic(self.rows(predicted, targets)[None])[0])

    def score_with_interval(self, predicted: Values, targets: Values) -> tuple[float, float, float]:
        """Return the score and the ends of its 95 % interval; there must be an example."""
        rows = self.rows(predicted, targets)
        score = float(self.statistic(rows[None])[0])
        if self.interval == "Wilson":
            return score, *wilson(int(rows.sum()), len(rows))
        return score, *bootstrap(rows, self.statistic)

    def example_scores(self, predicted: Values, targets: Values) -> list[float]:
        """Return the score of every example on its own."""
        if not len(targets):
            return []
        scores: list[float] = self.statistic(self.rows(predicted, targets)[:, None]).tolist()
        return scores

    def text_values(self, predicted: Values, targets: Values) -> list[float]:
        """Return a value for every example; their mean is the score.

        For a mean, the scores of the examples. For other metrics the jackknife's pseudo-values
        (Tukey, 1958), whose variance is that of the score.
        """
        if self.statistic is mean:
            return self.example_scores(predicted, targets)
        rows = self.rows(predicted, targets)
        values = jackknife(rows, self.statistic)
        found: list[float] = (values - values.mean() + self.statistic(rows[None])[0]).tolist()
        return found

    def named(self, split: str, between: str = " ") -> str:
        """Return an axis label, for example `Test loss (nats per token)`."""
        return f"{split} {self.label}" + (f"{between}({self.unit})" if self.unit else "")

    def clipped(self, low: float, high: float) -> tuple[float, float]:
        """Return an interval within the bounds of the metric."""
        return (
            low if self.low is None else max(self.low, low),
            high if self.high is None else min(self.high, high),
        )

    def allows(self, value: float) -> bool:
        """Return whether a score is within the bounds of the metric."""
        return self.clipped(value, value) == (value, value)

    def rank(self, value: float) -> float:
        """Return a number that is higher for a better score."""
        return value if self.higher_is_better else -value

    @property
    def worst(self) -> float:
        """The score of a failed cell in rankings: the worst possible one, maybe infinite."""
        if self.higher_is_better:
            return float("-inf") if self.low is None else self.low
        return float("inf") if self.high is None else self.high


METRICS: dict[str, Metric] = {}
"""All metrics by name."""


def register(metric: Metric) -> Metric:
    """Add a metric.

    Raises:
        ValueError: the name is taken.
    """
    if metric.name in METRICS:
        raise ValueError(f"the metric '{metric.name}' is registered twice")
    METRICS[metric.name] = metric
    return metric


def common_metric(names: Iterable[str]) -> Metric:
    """Return the metric of scores that stand side by side, named by `names`.

    No name: accuracy. A name that is not registered (a metric of a plug-in): a share, higher is
    better. Several names: "score", with the widest of their bounds and the direction unknown
    (taken as higher is better).
    """
    known = set(names) or {"accuracy"}
    metrics = [METRICS.get(name) or _unknown(name) for name in sorted(known)]
    if len(metrics) == 1:
        return metrics[0]
    lows, highs = [m.low for m in metrics], [m.high for m in metrics]
    return Metric(
        "score",
        "score",
        _not_computed,
        mean,
        low=None if None in lows else min(low for low in lows if low is not None),
        high=None if None in highs else max(high for high in highs if high is not None),
    )


def _unknown(name: str) -> Metric:
    label = name.replace("_f1", "-F1").replace("_", " ")
    label = label if len(label) <= 40 else label[:39] + "…"
    return Metric(name, label, _not_computed, mean)


def _not_computed(predicted: Values, targets: Values) -> Array:
    raise TypeError("the scores of this metric are read from result files, not computed")
