"""One of several answers to a question about a text; answers differ by example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tasks.lib.baseline import fit_probabilities
from tasks.lib.encoding import Row
from tasks.types.base import Answered, Target, TaskType, label_fault, shown

if TYPE_CHECKING:
    import torch

    from tasks.base import Example, TaskMetadata


class Choice(TaskType):
    """`label` is an index into the example's `choices`; `second` is the question.

    The model reads the text with each of the answers and gives each of these rows one number.
    """

    name = "choice"
    answers, metric = "choice", "accuracy"
    fields = ("second", "choices")
    has_labels = False
    same_for_all = "the same number of choices, two or more"

    def fault(self, metadata: TaskMetadata, example: Example) -> str:
        return label_fault([example.label], len(example.choices))

    def shape(self, example: Example) -> Any:
        return len(example.choices)

    def valid_shape(self, shape: Any) -> bool:
        return bool(shape >= 2)

    def findings(self, example: Example) -> Iterator[str]:
        if len(set(example.choices)) < len(example.choices):
            yield "an example with two equal choices"
        if not all(choice.strip() for choice in example.choices):
            yield "an empty choice"

    def labels(self, example: Example) -> tuple[int, ...]:
        return (int(example.label),)

    def label_names(self, metadata: TaskMetadata, example: Example) -> Sequence[str]:
        """The places of the right answer."""
        return [f"answer {place + 1}" for place in range(len(example.choices))]

    def answer_text(self, metadata: TaskMetadata, example: Example) -> str:
        return shown(example.choices[example.label])

    def two_texts(self, example: Example) -> bool:
        return True

    def others(self, example: Example) -> list[str]:
        return [f"{example.second} {choice}".strip() for choice in example.choices]

    def keeps_others(self) -> bool:
        return True

    def head_size(self, metadata: TaskMetadata) -> int:
        return 1

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross entropy over the rows of an example."""
        return super().loss(logits.view(labels.shape[0], -1), labels)

    def baseline(
        self, train: Answered, texts: Sequence[str], metadata: TaskMetadata
    ) -> list[Target]:
        """The row that looks most like a right one."""
        rows = len(train.texts) // max(1, len(train.targets))
        right = [int(k == target) for target in train.targets for k in range(rows)]
        likely = fit_probabilities(train.texts, right, texts)[:, 1]
        return [int(best) for best in likely.reshape(-1, rows).argmax(1)]

    def export_row(
        self, metadata: TaskMetadata, example: Example, rows: Sequence[Row]
    ) -> dict[str, Any]:
        """One text precedes all answers: the longest answer decides how much of it is left."""
        text = min((row.texts[0] for row in rows), key=len)
        return {
            "prompt": f"{text}\n\n{example.second}" if example.second else text,
            "choices": [str(choice) for choice in example.choices],
            "gold": int(example.label),
        }
