"""ListOps of the Long Range Arena, the released examples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import ClassVar

from tasks.base import Example, Splits, Task, TaskError, TaskMetadata
from tasks.builtin.lra.release import REVISION, Lines, find_files
from tasks.lib.pins import pin
from tasks.lib.rows import Rows, read_ends, shuffled

PARTS = ("train", "val", "test")

WORDS = {"[MIN": "min", "[MAX": "max", "[MED": "med", "[SM": "sum", "]": "]"} | {
    str(digit): str(digit) for digit in range(10)
}
"""Symbol of the release -> word, as in the task `listops`."""


class LraListOps(Task):
    """96,000 / 2,000 / 2,000 expressions, as released, one word per symbol, no parentheses."""

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="lra_listops",
        title="ListOps (Long Range Arena, released examples)",
        description="Value of a nested expression of min, max, median and sum modulo 10 on digits.",
        labels=tuple("0123456789"),
        source="the official release: basic_train.tsv, basic_val.tsv, basic_test.tsv",
        revision=REVISION,
        licence="Apache-2.0",
        citation="Tay et al., Long Range Arena, ICLR 2021; Nangia and Bowman, ListOps, 2018",
        natural_length=951,
        lengths=(2000,),
        min_length=2000,
        whole_texts=True,
        published_splits=True,
        balanced=False,
        needs_network=True,
        schema_only=True,
    )

    def prepare(self) -> None:
        """Check that the three files exist and that their first and last rows are valid."""
        read_ends(self.splits(2000, 0))

    def version(self) -> str:
        """A checksum of the three files."""
        files = _paths()
        return pin("lra_listops", files, files[0].parent)

    def splits(self, length: int, seed: int) -> Splits:
        """The same expressions at every length; the seed orders train."""
        train, validation, test = map(_lines, _paths())
        return Splits(
            _rows(train, "train", seed), _rows(validation, "validation", 0), _rows(test, "test", 0)
        )


def _paths() -> list[Path]:
    names = [f"basic_{part}.tsv" for part in PARTS]
    return find_files("lra_listops", ("listops-1000", "listops", ""), names)


def _lines(path: Path) -> Lines:
    lines = Lines(path, skip=1)
    head = Lines(lines.path)
    if not len(head) or head[0].split("\t") != ["Source", "Target"]:
        raise TaskError(f"lra_listops: {lines.path} does not begin with the columns Source, Target")
    if not len(lines):
        raise TaskError(f"lra_listops: {lines.path} has no expression: unpack it again")
    return lines


def _rows(lines: Lines, part: str, seed: int) -> Rows:
    def make(number: int) -> Example:
        source, _, target = lines[number].partition("\t")
        symbols = source.replace("(", " ").replace(")", " ").split()
        words = [WORDS.get(symbol, "") for symbol in symbols]
        balanced = source.count("(") == source.count(")")
        if not balanced or not _whole(words) or target not in set("0123456789"):
            raise TaskError(
                f"lra_listops: {lines.where(number)}: not an expression with its value: unpack it "
                "again"
            )
        return Example(f"{part}-{number}", " ".join(words), int(target))

    make(len(lines) - 1)  # a truncated file ends within a line
    return Rows(make, shuffled(range(len(lines)), seed))


def _whole(words: Sequence[str]) -> bool:
    """Whether the words are exactly one complete expression without empty operators."""
    if "" in words:  # an unknown symbol
        return False
    opens = [0 if word.isdigit() else -1 if word == "]" else 1 for word in words]
    empty = any(first > 0 > second for first, second in pairwise(opens))
    depths = list(accumulate(opens))
    # Only the last word may close the expression.
    return not empty and 0 in depths and depths.index(0) == len(words) - 1 and min(depths) == 0
