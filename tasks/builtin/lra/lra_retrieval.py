"""Retrieval of the Long Range Arena: pairs of papers as bytes; does one cite the other?"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tasks.base import Example, Splits, Task, TaskError, TaskMetadata
from tasks.builtin.lra.release import REVISION, Lines, byte_words, find_files
from tasks.lib.pins import pin
from tasks.lib.rows import Rows, read_ends, shuffled

PARTS = ("train", "eval", "test")

BYTES = 4000
"""Bytes of each paper, as in the arena."""


class LraRetrieval(Task):
    """Pairs of papers of the ACL Anthology Network, one word per byte, 4000 bytes each.

    The splits are the released ones; a paper occurs in many pairs and in several splits.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="lra_retrieval",
        title="Retrieval (Long Range Arena): pairs of papers as bytes",
        description="Whether one of two papers cites the other, one token per byte.",
        family="pair",
        labels=("apart", "tied"),
        source="the official release: new_aan_pairs.train.tsv, .eval.tsv, .test.tsv",
        revision=REVISION,
        licence="not stated by its publishers",
        citation="Tay et al., Long Range Arena, ICLR 2021; Radev et al., AAN, 2013",
        natural_length=8003,
        lengths=(2048, 4096, 8003),
        whole_texts=True,
        published_splits=True,
        balanced=True,
        needs_network=True,
        schema_only=True,
    )

    def prepare(self) -> None:
        """Check that the three files exist and that their first and last rows are valid."""
        splits = self.splits(BYTES, 0)
        if not all(map(len, splits)):
            raise TaskError("lra_retrieval: a file of the release is empty: unpack it again")
        read_ends(splits)

    def version(self) -> str:
        """A checksum of the three files."""
        files = _paths()
        return pin("lra_retrieval", files, files[0].parent)

    def splits(self, length: int, seed: int) -> Splits:
        """The same pairs at every length; the seed orders train."""
        train, validation, test = map(Lines, _paths())
        return Splits(
            _rows(train, "train", seed), _rows(validation, "validation", 0), _rows(test, "test", 0)
        )


def _paths() -> list[Path]:
    names = [f"new_aan_pairs.{part}.tsv" for part in PARTS]
    return find_files("lra_retrieval", ("tsv_data", "aan", ""), names)


def _rows(lines: Lines, part: str, seed: int) -> Rows:
    def make(number: int) -> Example:
        fields = lines[number].split("\t")  # no quoting, as in the loader of the release
        if len(fields) != 5 or fields[0] not in ("0.0", "1.0", "0", "1"):
            raise TaskError(
                f"lra_retrieval: {lines.where(number)}: not the five columns label, id1, id2, "
                "text1, text2 with a label of 0.0 or 1.0"
            )
        first, second = (byte_words(text, BYTES) for text in fields[3:])
        return Example(f"{part}-{number}", first, int(float(fields[0])), second=second)

    if len(lines):
        make(len(lines) - 1)  # a truncated file ends within a line
    return Rows(make, shuffled(range(len(lines)), seed))
