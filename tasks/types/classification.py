"""One of several labels for a text."""

from __future__ import annotations

from tasks.types.base import TaskType


class Classification(TaskType):
    """`label` is an index into the metadata's labels."""

    name = "classification"
    answers, metric = "class", "accuracy"
    secondary = ("macro_f1",)
