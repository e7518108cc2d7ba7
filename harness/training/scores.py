"""From predictions to scores with intervals, by the task's metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.training.batches import Target
from harness.training.resample import resampled
from tasks import TaskMetadata
from tasks.lib.texts import judge

if TYPE_CHECKING:
    from harness.training.evaluate import Evaluation


def score(predicted: Sequence[Target], targets: Sequence[Target], metric: str) -> float:
    """The score of predictions: a share of right answers, micro-averaged F1, or the mean score of
    written texts. 0 for none."""
    if metric in ("rouge_l", "exact_match"):
        return sum(each(predicted, targets, metric)) / max(1, len(targets))
    if metric == "accuracy":
        return sum(p == y for p, y in zip(predicted, targets, strict=True)) / max(1, len(targets))
    counts = _counts(predicted, targets)
    return float(_f1(counts.sum(0)))


def full_scores(
    predicted: Sequence[Target], targets: Sequence[Target], metadata: TaskMetadata
) -> dict[str, Any]:
    """All that is kept of a test: the score with its 95 % interval, and accuracy's own columns.

    An accuracy's interval is Wilson's; that of others comes from resampling the test texts.
    """
    metric = metadata.metric
    if metadata.family == "generation":
        return _text_scores(predicted, targets, metric)
    value = score(predicted, targets, metric)
    if metric == "accuracy":
        from scipy.stats import binomtest

        right = sum(p == y for p, y in zip(predicted, targets, strict=True))
        interval = binomtest(right, len(targets)).proportion_ci(0.95, method="wilson")
        low, high = float(interval.low), float(interval.high)
    else:
        low, high = resampled(_counts(predicted, targets), _f1)
    scores: dict[str, Any] = {
        "metric": metric,
        "score": value,
        "score_low": low,
        "score_high": high,
        "test_examples": len(targets),
    }
    if metric == "accuracy":
        scores |= {"accuracy": value, "accuracy_low": low, "accuracy_high": high}
    if metadata.family in ("classification", "pair"):
        from sklearn.metrics import f1_score

        macro = f1_score(targets, predicted, average="macro", zero_division=0)
        scores["secondary"] = {"macro_f1": float(macro)}
    return scores


def _text_scores(
    predicted: Sequence[Target], targets: Sequence[Target], metric: str
) -> dict[str, Any]:
    values = np.array(each(predicted, targets, metric))
    low, high = resampled(values[:, None], lambda sums: sums[:, 0] / len(values))
    return {
        "metric": metric,
        "score": float(values.mean()),
        "score_low": low,
        "score_high": high,
        "test_examples": len(targets),
        "secondary": {name: score(predicted, targets, name) for name in ("rouge_l", "exact_match")},
    }


def each(predicted: Sequence[Target], targets: Sequence[Target], metric: str) -> list[float]:
    """The score of every written text, the best over the texts that are right."""
    return [
        max((judge(str(said), str(right), metric) for right in _texts(target)), default=0.0)
        for said, target in zip(predicted, targets, strict=True)
    ]


def _texts(target: Target) -> Sequence[Any]:
    return target if isinstance(target, tuple) else (target,)


def validation_scores(seen: Evaluation, targets: Sequence[Target], metric: str) -> dict[str, float]:
    """A point of the validation curve. A loss is its own score: the lower the better."""
    value = seen.loss if metric == "loss" else score(seen.predicted, targets, metric)
    return {"validation_score": value} | (
        {"validation_accuracy": value} if metric == "accuracy" else {}
    )


def _counts(predicted: Sequence[Target], targets: Sequence[Target]) -> np.ndarray[Any, Any]:
    """By text: labels found, labels said, labels there."""
    rows = []
    for said, there in zip(predicted, targets, strict=True):
        one = set(said) if isinstance(said, tuple) else {said}
        other = set(there) if isinstance(there, tuple) else {there}
        rows.append((len(one & other), len(one), len(other)))
    return np.array(rows, dtype=float).reshape(-1, 3)


def _f1(sums: Any) -> Any:
    found, said, there = sums[..., 0], sums[..., 1], sums[..., 2]
    return np.where(said + there > 0, 2 * found / np.maximum(said + there, 1), 0.0)
