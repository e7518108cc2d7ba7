"""Any number of labels for a text, none included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.lib.baseline import tfidf_baseline
from tasks.types.base import Answered, Batch, Padded, Target, TaskType, label_fault

if TYPE_CHECKING:
    import torch

    from tasks.base import Example, TaskMetadata


class Multilabel(TaskType):
    """`labels` are indices into the metadata's labels, rising."""

    name = "multilabel"
    answers, metric = "set", "micro_f1"
    fields = ("labels",)

    def fault(self, metadata: TaskMetadata, example: Example) -> str:
        return label_fault(example.labels, len(metadata.labels))

    def labels(self, example: Example) -> tuple[int, ...]:
        return tuple(map(int, example.labels))

    def counts(self, metadata: TaskMetadata, examples: Sequence[Example]) -> dict[str, int]:
        """Each label of an example counts once."""
        without = sum(not example.labels for example in examples)
        return {**super().counts(metadata, examples), "(none)": without}

    def answer_text(self, metadata: TaskMetadata, example: Example) -> str:
        return super().answer_text(metadata, example) or "(none)"

    def target(self, example: Example) -> Target:
        return self.labels(example)

    def batch_labels(self, batch: Padded, metadata: TaskMetadata) -> torch.Tensor:
        """1 for each label of an example, else 0; of shape (examples, labels)."""
        import torch

        marks = torch.zeros(len(batch.targets), len(metadata.labels))
        for row, labels in enumerate(batch.targets):
            marks[row, list(labels)] = 1.0
        return marks

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        from torch.nn import functional as F

        return F.binary_cross_entropy_with_logits(logits, labels), logits

    def predict(self, batch: Batch, metadata: TaskMetadata) -> list[Target]:
        """All labels that are more likely than not."""
        import torch

        return [tuple(torch.nonzero(row > 0).flatten().tolist()) for row in batch.logits]

    def baseline(
        self, train: Answered, texts: Sequence[str], metadata: TaskMetadata
    ) -> list[Target]:
        """One linear model for each label."""
        columns = [
            tfidf_baseline(train.texts, [int(label in t) for t in train.targets], texts)
            for label in range(len(metadata.labels))
        ]
        rows = range(len(texts))
        return [tuple(k for k, column in enumerate(columns) if column[row]) for row in rows]

    def constant_score(self, targets: Sequence[Target], metadata: TaskMetadata) -> float | None:
        """Micro-F1 of the best set of labels, given to every text.

        For a set of k labels the denominator is fixed, so the k most frequent labels are best.
        """
        if not targets:
            return None
        counts = Counter(label for labels in targets for label in labels)
        total, best, found = counts.total(), 0.0, 0
        for size, (_, count) in enumerate(counts.most_common(), 1):
            found += count
            best = max(best, 2 * found / (size * len(targets) + total))
        return best

    def export_fault(self) -> str:
        return "lm-eval has no kind of task in which several labels are right at once"
