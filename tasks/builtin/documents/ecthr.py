"""ECtHR (LexGLUE): articles of the Convention that were violated, a multi-label task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tasks.base import Example, TaskMetadata
from tasks.lib.hub import _HubTask, hub_metadata

REPOSITORY = "coastalcph/lex_glue"
REVISION = "b7b8b5847681813d675d3945a80d2f1b3554be7f"


class Ecthr(_HubTask):
    """Task A of LexGLUE: facts of a case -> the articles that were violated, if any."""

    repository, revision, configuration = REPOSITORY, REVISION, "ecthr_a"
    columns = ("text.*", "labels.*")
    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="ecthr",
        title="European Court of Human Rights (LexGLUE, task A)",
        description="Articles of the Convention that were violated, from the facts of a case.",
        family="multilabel",
        labels=("2", "3", "5", "6", "8", "9", "10", "11", "14", "P1-1"),
        repository=REPOSITORY,
        commit=REVISION,
        licence="CC-BY-NC-SA-4.0",
        citation="Chalkidis et al., LexGLUE, ACL 2022",
        natural_length=1_600,
        lengths=(512, 1024, 2048, 4096),
        balanced=False,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The facts are a list of paragraphs."""
        labels = tuple(sorted({self.label(label) for label in row["labels"]}))
        return Example(name, "\n".join(row["text"]), labels=labels)
