"""The README's table of tasks, made from their metadata."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.base import TaskMetadata
from tasks.registry import discover
from tasks.rows import SCHEMA_ONLY

_HEAD = ("task", "family", "what", "source", "licence", "lengths (tokens)", "checked on")


def task_table(metadata: Iterable[TaskMetadata] | None = None) -> str:
    """Return a Markdown table, one line a task, by name; of all plug-ins of this folder if none.

    The last column says whether the tests have read the task's real data.
    """
    if metadata is None:
        metadata = [task.metadata for task in discover().values()]
    rows = [_HEAD, ("---",) * len(_HEAD)]
    for task in sorted(metadata, key=lambda task: task.name):
        rows.append(
            (
                f"`{task.name}`",
                task.family,
                task.title,
                task.source,
                task.licence,
                ", ".join(map(str, task.lengths)),
                "its schema only" if SCHEMA_ONLY in task.description else "real data",
            )
        )
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(text: str) -> str:
    """One cell: neither a line's end nor a bar of the text's own may end it, nor HTML begin."""
    flat = " ".join(text.split()).replace("\\", "\\\\")
    return flat.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
