"""From predictions to scores with intervals, by the task's metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.core.metrics import METRICS
from harness.training.batches import Target
from tasks import TaskMetadata

if TYPE_CHECKING:
    from harness.training.evaluate import Evaluation

_SECONDARY = {
    "classification": ("macro_f1",),
    "pair": ("macro_f1",),
    "generation": ("rouge_l", "exact_match"),
}
"""Metrics beside the task's own, by family."""


def score(predicted: Sequence[Target], targets: Sequence[Target], metric: str) -> float:
    """The score of predictions in a metric; 0 for none."""
    return METRICS[metric].score(predicted, targets)


def full_scores(
    predicted: Sequence[Target], targets: Sequence[Target], metadata: TaskMetadata
) -> dict[str, Any]:
    """All scores of a test: the task's metric with its 95 % interval, and secondary metrics."""
    metric = metadata.metric
    value, low, high = METRICS[metric].score_with_interval(predicted, targets)
    scores: dict[str, Any] = {
        "metric": metric,
        "score": value,
        "score_low": low,
        "score_high": high,
        "test_examples": len(targets),
    }
    if metric == "accuracy":
        scores |= {"accuracy": value, "accuracy_low": low, "accuracy_high": high}
    if secondary := _SECONDARY.get(metadata.family):
        scores["secondary"] = {name: score(predicted, targets, name) for name in secondary}
    return scores


def each(predicted: Sequence[Target], targets: Sequence[Target], metric: str) -> list[float]:
    """The score of every written text, the best over the texts that are right."""
    return METRICS[metric].example_scores(predicted, targets)


def validation_scores(seen: Evaluation, targets: Sequence[Target], metric: str) -> dict[str, float]:
    """A point of the validation curve. A loss is its own score: the lower the better."""
    value = seen.loss if metric == "loss" else score(seen.predicted, targets, metric)
    return {"validation_score": value} | (
        {"validation_accuracy": value} if metric == "accuracy" else {}
    )
