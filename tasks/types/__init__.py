"""Task types: one file each in this folder, found by its import. Nothing here imports torch."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from tasks.types.base import TaskType


def _found() -> dict[str, TaskType]:
    """An instance of every concrete class of the files in this folder, by its name."""
    found: dict[str, TaskType] = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = importlib.import_module(f"{__name__}.{path.stem}")
        for value in vars(module).values():
            own = inspect.isclass(value) and value.__module__ == module.__name__
            if own and issubclass(value, TaskType) and hasattr(value, "name"):
                if value.name in found:
                    raise TypeError(f"{path}: the task type '{value.name}' is defined twice")
                found[value.name] = value()
    return found


TASK_TYPES = _found()
"""All task types by name."""


def task_type(name: str) -> TaskType:
    """Return the task type of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in TASK_TYPES:
        raise ValueError(f"there is no task type '{name}': use one of {', '.join(TASK_TYPES)}")
    return TASK_TYPES[name]
