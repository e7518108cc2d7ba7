"""RACE: multiple-choice questions on passages, from English exams in China. From the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tasks.base import Example, TaskMetadata
from tasks.lib.hub import _HubTask, hub_metadata

REPOSITORY = "ehovy/race"
REVISION = "2fec9fd81f1dc971569a9b729c43f2f0e6436637"
LETTERS = ("A", "B", "C", "D")


class Race(_HubTask):
    """Middle and high school together; all questions of a passage are in one split."""

    repository, revision, configuration = REPOSITORY, REVISION, "all"
    columns = ("article", "question", "options.*", "answer")
    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="race",
        title="RACE, questions on passages",
        description="The right answer, of four, to an exam question on a passage.",
        family="choice",
        labels=(),
        repository=REPOSITORY,
        commit=REVISION,
        licence="for research only, by its publishers",
        citation="Lai et al., RACE, EMNLP 2017",
        natural_length=350,
        lengths=(256, 512, 1024),
        min_length=256,
        whole_texts=True,
        balanced=True,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The passage can be cut to the length; the question and the answers are not cut."""
        if len(row["options"]) != 4:
            raise ValueError(f"{len(row['options'])} options")
        if row["answer"] not in LETTERS:
            raise ValueError(f"the answer {row['answer']!r} is none of {', '.join(LETTERS)}")
        return Example(
            name,
            row["article"],
            LETTERS.index(row["answer"]),
            second=row["question"],
            choices=tuple(row["options"]),
        )
