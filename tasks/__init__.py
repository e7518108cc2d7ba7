"""Task plug-ins: one file a task. This room knows nothing of the harness and needs no torch."""

from tasks.base import WRITING, Example, Family, Splits, Task, TaskError, TaskMetadata
from tasks.registry import Registry, discover, load_task

__all__ = [
    "WRITING",
    "Example",
    "Family",
    "Registry",
    "Splits",
    "Task",
    "TaskError",
    "TaskMetadata",
    "discover",
    "load_task",
]
