"""Language modelling on Python modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tasks.base import Example, Splits, Task, TaskMetadata
from tasks.builtin.documents.pysource import PySource


class PySourceLm(Task):
    """The stripped modules of the task `pysource`, without labels."""

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        **{
            **PySource.metadata.model_dump(include={"source", "licence", "citation", "lengths"}),
            "name": "pysource_lm",
            "title": "Next token of Python modules of eight installed packages",
            "description": (
                "Loss of the next token in Python modules of 3 KB and more, imports, comments, "
                "docstrings and the packages' names removed."
            ),
            "family": "language_modelling",
            "revision": f"{PySource.metadata.revision},lm",
            "natural_length": PySource.metadata.natural_length,
        }
    )

    def prepare(self) -> None:
        """As in the task `pysource` (a minute, the first time)."""
        PySource().prepare()

    def version(self) -> str:
        """The version of the task `pysource`."""
        return f"{PySource().version()},lm"

    def splits(self, length: int, seed: int) -> Splits:
        """The same modules at every length; the seed orders the training modules."""
        return Splits(*map(_bare, PySource().splits(length, seed)))


def _bare(examples: Sequence[Example]) -> list[Example]:
    return [Example(example.id, example.text) for example in examples]
