"""A number for a text or for two texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.lib.baseline import ridge_baseline
from tasks.types.base import Answered, Batch, Padded, Target, TaskType

if TYPE_CHECKING:
    import torch

    from tasks.base import Example, TaskMetadata

BINS = 5
"""Parts of the range whose examples a card counts."""


class Regression(TaskType):
    """`value` is a number in the metadata's `value_range`; `second` is another text, if any.

    The head has one output, trained by the mean squared error of values scaled to 0 to 1.
    """

    name = "regression"
    answers, metric = "number", "spearman"
    secondary = ("spearman", "pearson")
    fields = ("second", "value")
    has_labels = False
    same_for_all = "a second text, or none"

    def metadata_fault(self, metadata: TaskMetadata) -> str:
        span = metadata.value_range
        if span is None or not span[0] < span[1]:
            return "value_range: the lowest and the highest value are needed"
        return super().metadata_fault(metadata)

    def fault(self, metadata: TaskMetadata, example: Example) -> str:
        low, high = metadata.value_range or (0.0, 1.0)
        try:
            value = float(example.value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return f"has a value that is no number: {example.value!r}"
        if not (math.isfinite(value) and low <= value <= high):
            return f"has a value out of range: {example.value!r}, not in {low:g} to {high:g}"
        return ""

    def shape(self, example: Example) -> Any:
        return bool(example.second)

    def texts(self, example: Example) -> tuple[str, ...]:
        return (example.text, example.second) if example.second else (example.text,)

    def counts(self, metadata: TaskMetadata, examples: Sequence[Example]) -> dict[str, int]:
        """Examples in equal parts of the range, of which each but the last excludes its end."""
        low, high = metadata.value_range or (0.0, 1.0)
        width = (high - low) / BINS
        bins = [min(BINS - 1, int((self.target(e) - low) / width)) for e in examples]
        return {
            f"{low + k * width:g} to {low + (k + 1) * width:g}": bins.count(k) for k in range(BINS)
        }

    def answer_text(self, metadata: TaskMetadata, example: Example) -> str:
        return f"{self.target(example):g}"

    def target(self, example: Example) -> Target:
        return float(example.value or 0.0)

    def two_texts(self, example: Example) -> bool:
        return bool(example.second)

    def head_size(self, metadata: TaskMetadata) -> int:
        return 1

    def batch_labels(self, batch: Padded, metadata: TaskMetadata) -> torch.Tensor:
        """Values scaled to 0 to 1, of shape (examples,)."""
        import torch

        low, high = metadata.value_range or (0.0, 1.0)
        return (torch.tensor(batch.targets, dtype=torch.float32) - low) / (high - low)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        from torch.nn import functional as F

        return F.mse_loss(logits.squeeze(-1), labels), logits

    def predict(self, batch: Batch, metadata: TaskMetadata) -> list[Target]:
        """The outputs in the unit of the values."""
        low, high = metadata.value_range or (0.0, 1.0)
        values: list[Target] = (batch.logits.squeeze(-1) * (high - low) + low).tolist()
        return values

    def baseline(
        self, train: Answered, texts: Sequence[str], metadata: TaskMetadata
    ) -> list[Target]:
        """Ridge regression on TF-IDF features; without words, the mean of the training values."""
        return list(ridge_baseline(train.texts, train.targets, texts))

    def constant_score(self, targets: Sequence[Target], metadata: TaskMetadata) -> float | None:
        """0: a constant answer, such as the mean, has no correlation with the values."""
        return 0.0 if targets else None

    def export_fault(self) -> str:
        return "lm-eval has no kind of task whose answer is a number"
