"""The metrics of the benchmark: how each is computed, its range, its interval and its labels.

To add a metric, add one `register(Metric(...))` below: every task type whose answers are of a kind
that it scores then offers it.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Values = Sequence[Any] | Array

_DRAWS = 2_000
"""Bootstrap samples of an interval."""

_BLOCK = 50
"""Bootstrap samples that are in memory at the same time."""

_ROUGE_CHARACTERS = 20_000
"""Characters of a text that ROUGE-L reads: its time is the product of both lengths."""


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
            return score, *_wilson(int(rows.sum()), len(rows))
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
        if self.statistic is _mean:
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


def rank_of_rate(losses: Sequence[float | None]) -> float:
    """Return a sort key of a learning rate: the best rate has the highest key.

    The mean validation loss of its cells decides. A rate with a cell that has no finite loss,
    because it failed or diverged, is the worst.
    """
    known = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    return -sum(known) / len(known) if known and len(known) == len(losses) else -math.inf


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
        _mean,
        low=None if None in lows else min(low for low in lows if low is not None),
        high=None if None in highs else max(high for high in highs if high is not None),
    )


def _unknown(name: str) -> Metric:
    label = name.replace("_f1", "-F1").replace("_", " ")
    label = label if len(label) <= 40 else label[:39] + "…"
    return Metric(name, label, _not_computed, _mean)


def _not_computed(predicted: Values, targets: Values) -> Array:
    raise TypeError("the scores of this metric are read from result files, not computed")


def bootstrap(rows: Array, statistic: Callable[[Array], Array]) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic over resampled examples.

    Args:
        rows: of shape (examples, k).
        statistic: rows of shape (samples, examples, k) to scores of shape (samples,).
    """
    import numpy as np

    random = np.random.default_rng(0)
    count = len(rows)
    found = [
        statistic(rows[random.integers(0, count, (_BLOCK, count))]) for _ in range(_DRAWS // _BLOCK)
    ]
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return float(low), float(high)


def jackknife(rows: Array, statistic: Callable[[Array], Array]) -> Array:
    """Return the pseudo-values of a statistic: what each of at least two examples adds to it."""
    import numpy as np

    count = len(rows)
    others = np.array([np.delete(np.arange(count), k) for k in range(count)])
    without = [statistic(rows[others[k : k + _BLOCK]]) for k in range(0, count, _BLOCK)]
    values: Array = count * statistic(rows[None])[0] - (count - 1) * np.concatenate(without)
    return values


def _wilson(correct: int, count: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(correct, count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _mean(rows: Array) -> Array:
    means: Array = rows.sum(1)[:, 0] / rows.shape[1]
    return means


# Accuracy and the F1 of sets of labels.


def _correct(predicted: Values, targets: Values) -> Array:
    import numpy as np

    return np.array([[float(p == y)] for p, y in zip(predicted, targets, strict=True)])


def _label_counts(predicted: Values, targets: Values) -> Array:
    """By example: labels in both sets, labels predicted, labels in the target."""
    import numpy as np

    rows = []
    for said, there in zip(predicted, targets, strict=True):
        one = set(said) if isinstance(said, tuple) else {said}
        other = set(there) if isinstance(there, tuple) else {there}
        rows.append((len(one & other), len(one), len(other)))
    return np.array(rows, dtype=float).reshape(-1, 3)


def _micro_f1(rows: Array) -> Array:
    import numpy as np

    sums = rows.sum(1)
    found, said, there = sums[..., 0], sums[..., 1], sums[..., 2]
    return np.where(said + there > 0, 2 * found / np.maximum(said + there, 1), 0.0)


def _class_counts(predicted: Values, targets: Values) -> Array:
    """By example, one-hot over classes: correct, predicted, target; shape (examples, 3 classes)."""
    import numpy as np

    said, there = np.array(predicted), np.array(targets)
    classes = np.arange(max(said.max(), there.max()) + 1)
    one, other = said[:, None] == classes, there[:, None] == classes
    return np.concatenate([one & other, one, other], 1).astype(float)


def _macro_f1(rows: Array) -> Array:
    """Mean F1 over the classes that are predicted or in the target."""
    import numpy as np

    correct, said, there = np.split(rows.sum(1), 3, axis=1)
    f1 = 2 * correct / np.maximum(said + there, 1)
    means: Array = f1.sum(1) / (said + there > 0).sum(1)
    return means


def _matthews(rows: Array) -> Array:
    """Matthews correlation for any number of classes (Gorodkin, 2004); 0 where undefined."""
    import numpy as np

    correct, said, there = np.split(rows.sum(1), 3, axis=1)
    count = rows.shape[1]
    covariance = correct.sum(1) * count - (said * there).sum(1)
    spread = (count**2 - (said**2).sum(1)) * (count**2 - (there**2).sum(1))
    return np.where(spread > 0, covariance / np.sqrt(np.maximum(spread, 1)), 0.0)


# Losses and correlations of numbers.


def _columns(predicted: Values, targets: Values) -> Array:
    import numpy as np

    return np.stack([np.array(predicted, dtype=float), np.array(targets, dtype=float)], 1)


def _loss_rows(predicted: Values, targets: Values) -> Array:
    """`predicted` holds (summed loss, tokens, …) by text; there are no targets."""
    import numpy as np

    return np.array([(total, count) for total, count, *_ in predicted], dtype=float)


def _token_rows(predicted: Values, targets: Values) -> Array:
    """`predicted` holds (summed loss, tokens, correct tokens, …) by text."""
    import numpy as np

    return np.array([(hits, count) for _, count, hits, *_ in predicted], dtype=float)


def _by_token(rows: Array) -> Array:
    """Sums over texts divided by tokens over texts."""
    import numpy as np

    sums = rows.sum(1)
    means: Array = sums[:, 0] / np.maximum(1, sums[:, 1])
    return means


def _pearson(rows: Array) -> Array:
    """Pearson's correlation; 0 where a column is constant, for which it is undefined."""
    import numpy as np

    # Equal numbers may have a mean that differs from them in the last bit: compare, then centre.
    constant = (rows == rows[:, :1]).all(1).any(1)
    centred = rows - rows.mean(1, keepdims=True)
    norms = np.sqrt((centred**2).sum(1)).prod(1)
    products = centred.prod(2).sum(1)
    undefined = constant | (norms == 0)
    return np.where(undefined, 0.0, np.clip(products / np.where(undefined, 1.0, norms), -1, 1))


def _spearman(rows: Array) -> Array:
    """Pearson's correlation of ranks; ties have their mean rank."""
    from scipy.stats import rankdata

    return _pearson(rankdata(rows, axis=1))


# Written texts, compared with every right answer; the best counts.


def _best_answers(judge: Callable[[str, str], float]) -> Callable[..., Array]:
    def rows(predicted: Values, targets: Values) -> Array:
        import numpy as np

        pairs = zip(predicted, targets, strict=True)
        best = [max((judge(str(p), str(y)) for y in _texts(t)), default=0.0) for p, t in pairs]
        return np.array(best, dtype=float).reshape(-1, 1)

    return rows


def _texts(target: Any) -> Sequence[Any]:
    return target if isinstance(target, tuple | list) else (target,)


def rouge_l(text: str, answer: str) -> float:
    """F1 of the longest common subsequence of stemmed words (Lin, ROUGE, 2004), 0 to 1.

    By the rouge-score package, to which a word consists of letters a to z and digits: it finds no
    words in other scripts.
    """
    one, other = answer[:_ROUGE_CHARACTERS], text[:_ROUGE_CHARACTERS]
    return float(_rouge().score(one, other)["rougeL"].fmeasure)


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def exact_match(text: str, answer: str) -> float:
    """1 if two texts are equal except for case, punctuation, articles and white space, else 0.

    As in SQuAD (Rajpurkar et al., 2016). If nothing else is in the answer, only case and white
    space are ignored.
    """
    if not _normalised(answer):
        return float(text.lower().split() == answer.lower().split())
    return float(_normalised(text) == _normalised(answer))


def _normalised(text: str) -> str:
    bare = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


register(Metric("accuracy", "accuracy", _correct, _mean, ("class", "choice"), interval="Wilson"))
register(Metric("micro_f1", "micro-F1", _label_counts, _micro_f1, ("set",)))
register(Metric("macro_f1", "macro-F1", _class_counts, _macro_f1, ("class",)))
register(Metric("matthews", "Matthews correlation", _class_counts, _matthews, ("class",), low=-1.0))
register(Metric("spearman", "Spearman correlation", _columns, _spearman, ("number",), low=-1.0))
register(Metric("pearson", "Pearson correlation", _columns, _pearson, ("number",), low=-1.0))
register(Metric("rouge_l", "ROUGE-L", _best_answers(rouge_l), _mean, ("text",), by_text=True))
register(
    Metric("exact_match", "exact match", _best_answers(exact_match), _mean, ("text",), by_text=True)
)
register(
    Metric(
        "loss",
        "loss",
        _loss_rows,
        _by_token,
        ("tokens",),
        unit="nats per token",
        high=None,
        higher_is_better=False,
        by_text=True,
    )
)
register(
    Metric(
        "token_accuracy",
        "next-token accuracy",
        _token_rows,
        _by_token,
        ("tokens",),
        by_text=True,
    )
)
