"""Task plug-ins, one file each, and task types. Imports `harness.core` only, and no torch."""

from tasks.base import Example, Family, Splits, Task, TaskError, TaskMetadata
from tasks.registry import OwnTasks, Registry, discover, load_task
from tasks.types import TASK_TYPES

WRITING = tuple(name for name, kind in TASK_TYPES.items() if kind.uses_lm_head)
"""Names of the task types that need a backbone with a language-model head."""

__all__ = [
    "WRITING",
    "Example",
    "Family",
    "OwnTasks",
    "Registry",
    "Splits",
    "Task",
    "TaskError",
    "TaskMetadata",
    "discover",
    "load_task",
]
