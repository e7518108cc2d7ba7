"""Language modelling on long Usenet postings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from tasks.base import Example, Splits, Task, TaskMetadata
from tasks.builtin.documents.newsgroups import Newsgroups

SHORTEST = 7000
"""Characters of a posting, at least: 1,024 tokens of nearly any tokenizer."""


class NewsgroupsLm(Task):
    """The postings of the task `newsgroups` with 7,000 characters and more, without labels.

    Near-duplicates are removed there: all validation and test texts are independent.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        **{
            **Newsgroups.metadata.model_dump(include={"source", "licence", "citation"}),
            "name": "newsgroups_lm",
            "title": "Next token of 20 Newsgroups, postings of 7,000 characters and more",
            "description": (
                "Loss of the next token in Usenet postings of 1993, lower case, letters only. "
                "Attributions and the names of groups are removed; quotes and signatures are kept."
            ),
            "family": "language_modelling",
            "revision": f"{Newsgroups.metadata.revision},from:{SHORTEST}",
            "natural_length": 2135,
            "lengths": (256, 512, 1024),
        }
    )

    def prepare(self) -> None:
        """As in the task `newsgroups`."""
        Newsgroups().prepare()

    def splits(self, length: int, seed: int) -> Splits:
        """The same texts at every length; the seed orders the training texts."""
        return Splits(*map(_long, Newsgroups().splits(length, seed)))


def _long(examples: Sequence[Example]) -> list[Example]:
    return [Example(e.id, e.text) for e in examples if len(e.text) >= SHORTEST]
