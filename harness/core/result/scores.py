"""Scores on the test texts, and the answers that they follow from."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from harness.core.metrics import METRICS, common_metric
from harness.core.result.parts import Part
from harness.core.values import LARGEST_SCORE, Amount, Count, Real, Share, Text, number

MOST_TEXTS = 5_000
"""The most test texts for which values by text are computed: the time is quadratic in them."""

ACCURACY = "accuracy"
LOSS = "loss"


def _with_loss(parts: Any) -> Any:
    """Ranges of positions without a loss are left out."""
    if not isinstance(parts, list):
        return parts
    if len(parts) > 64:
        raise ValueError("has more than 64 ranges")
    return [p for p in parts if not isinstance(p, dict) or number(p.get("loss")) is not None]


class PositionLoss(Part):
    """Mean loss (nats per token) at the positions `start` <= p < `end` of the test texts."""

    start: int
    end: int
    loss: float
    tokens: Count = None


class Scores(Part):
    """Scores of the trained model on the test texts, with 95 % intervals over texts."""

    metric: Text = None
    score: Real = None
    score_low: Real = None
    score_high: Real = None
    test_examples: Count = None
    accuracy: Share = None
    accuracy_low: Share = None
    accuracy_high: Share = None
    secondary: dict[str, Real] = Field(default={})
    """Further metrics of the same answers, by name."""
    perplexity: Amount = None
    all_tokens_loss: Amount = None
    """The mean loss over all tokens that were read, where the score is of their last tokens."""
    majority: Share = None
    """The accuracy of the best constant answer on the test texts."""
    validation_score: Real = None
    validation_accuracy: Share = None
    validation_loss: Real = None
    by_position: Annotated[list[PositionLoss], BeforeValidator(_with_loss)] = Field(default=[])

    @property
    def is_loss(self) -> bool:
        """Whether the score is a loss in nats per token."""
        return self.metric == LOSS

    @model_validator(mode="after")
    def _check(self) -> Scores:
        metric = common_metric([self.metric] if self.metric else [])
        for name in ("score", "score_low", "score_high", "validation_score"):
            value = getattr(self, name)
            if value is not None and not metric.allows(value):
                raise ValueError(f"{name} {value:g} is outside the range of {metric.label}")
        reached = 0
        for part in self.by_position:
            if not reached <= part.start < part.end <= 2**40:
                raise ValueError("by_position has ranges that do not follow each other")
            if part.loss < 0:
                raise ValueError("by_position has a negative loss")
            reached = part.end
        if self.is_loss and self.perplexity is None and self.score is not None:
            self.perplexity = math.exp(self.score) if self.score < 700 else None
        return self


class Predictions(Part):
    """Answers to the test examples, in one order: ids, targets, answers, scores per example."""

    ids: list[Any] = Field(default=[])
    labels: list[Any] | None = None
    predicted: list[Any] | None = None
    scores: list[Any] | None = None

    def correct(self) -> dict[str, bool]:
        """Return for each example id whether the answer equals the label."""
        labels, predicted = self.labels or [], self.predicted or []
        pairs = zip(self.ids, labels, predicted, strict=False)
        found = {str(i): label == answer for i, label, answer in pairs}
        same = len(found) == len(self.ids) == len(labels) == len(predicted)
        return found if same else {}

    def example_scores(self) -> dict[str, float]:
        """Return the score of each example by its id; empty unless every example has a number."""
        if len(self.ids) != len(self.scores or []):
            return {}
        pairs = zip(self.ids, self.scores or [], strict=True)
        found = {
            str(i): value
            for i, score in pairs
            if (value := number(score)) is not None and 0 <= value <= LARGEST_SCORE
        }
        return found if len(found) == len(self.ids) else {}

    def text_values(self, metric: str | None) -> dict[str, float]:
        """Return a value for each example id whose mean is the score; empty if that is unknown.

        Without scores of examples, they follow from labels and answers (`Metric.text_values`).
        """
        if metric == ACCURACY:
            return {name: float(right) for name, right in self.correct().items()}
        found, known = self.example_scores(), METRICS.get(metric or "")
        if found or known is None or not self.labels or not self.predicted:
            return found
        names = [str(i) for i in self.ids]
        pairs = [[_hashable(v) for v in values] for values in (self.predicted, self.labels)]
        try:
            if "class" in known.answers:  # the numbers of classes may be anything
                codes = {v: code for code, v in enumerate(sorted({*pairs[0], *pairs[1]}))}
                pairs = [[codes[v] for v in values] for values in pairs]
            same = len(set(names)) == len(pairs[0]) == len(pairs[1]) <= MOST_TEXTS
            values = known.text_values(*pairs) if same and len(names) > 1 else []
        except (TypeError, ValueError, OverflowError):
            return {}
        known_all = bool(values) and all(map(math.isfinite, values))
        return dict(zip(names, values, strict=True)) if known_all else {}


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
