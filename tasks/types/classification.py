"""One of several labels for a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.types.base import TaskType, label_fault

if TYPE_CHECKING:
    from tasks.base import Example, TaskMetadata


class Classification(TaskType):
    """`label` is an index into the metadata's labels."""

    name = "classification"
    metrics = ("accuracy", "macro_f1", "matthews")
    secondary = ("macro_f1",)

    def fault(self, metadata: TaskMetadata, example: Example) -> str:
        """A label out of range."""
        return label_fault([example.label], len(metadata.labels))
