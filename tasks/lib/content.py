"""Digests of the examples of a task: the version of data without another version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.base import Example, Splits

if TYPE_CHECKING:
    from tasks.base import Task, TaskMetadata

EXAMPLES, CHARACTERS = 100_000, 100_000_000
"""The largest numbers of examples and of characters of a split that a digest reads."""

FIRST = 1_000
"""Examples of a split that are read at the other lengths, and of train at another seed."""


def content_digest(task: Task) -> str:
    """Return 16 hexadecimal digits of a SHA-256 of a task's examples and label names.

    It reads all examples at the longest length of the metadata and seed 0, up to EXAMPLES and
    CHARACTERS per split, and the first FIRST at the other lengths and of train at seed 1. A change
    beyond these bounds, only at other lengths or only at seeds above 1 is missed. The number of
    examples always counts. The digest of the data of a cell (`read_digest`) has no such bounds.

    Raises:
        Exception: what `splits` raises, if it raises at every length.
    """
    metadata = task.metadata
    whole = hashlib.sha256()
    _add(whole, _described(metadata))
    read = False
    failure: Exception | None = None
    for length in sorted(metadata.lengths, reverse=True):
        try:
            if not read:
                parts = [split_digest(part) for part in task.splits(length, 0)]
                parts.append(split_digest(task.splits(length, 1).train, FIRST))
            else:
                parts = [split_digest(part, FIRST) for part in task.splits(length, 0)]
        except Exception as error:  # a length without data: another may have some
            failure = error
            parts = [type(error).__name__]
        else:
            read = True
        _add(whole, [length, *parts])
    if failure and not read:
        raise failure
    return whole.hexdigest()[:16]


def read_digest(metadata: TaskMetadata, splits: Splits, sizes: Sequence[int | None]) -> str:
    """Return 16 hexadecimal digits of a SHA-256 of the examples that one cell reads.

    Args:
        metadata: of the task; the names of its labels count.
        splits: at the cell's length and seed.
        sizes: how many examples of each split the cell reads, in order; None: all of them.
    """
    whole = hashlib.sha256()
    _add(whole, _described(metadata))
    for part, size in zip(splits, sizes, strict=True):
        read = len(part) if size is None else min(size, len(part))
        for start in range(0, read, 500):
            for example in part[start : min(start + 500, read)]:
                _add(whole, example)
        _add(whole, read)
    return whole.hexdigest()[:16]


def splits_digest(splits: Splits) -> str:
    """Return 16 hexadecimal digits of a SHA-256 of three splits, up to the bounds above."""
    parts = [split_digest(part) for part in splits]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def tested(revision: str, splits: Splits, known: str) -> str:
    """Return the revision, with the digest of the splits unless it is the known one."""
    found = splits_digest(splits)
    return revision if found == known else f"{revision},content:{found}"


def split_digest(part: Sequence[Example], most: int | None = None) -> str:
    """Return the SHA-256, in hexadecimal, of the first `most` (EXAMPLES) of a split."""
    digest = hashlib.sha256()
    _add(digest, len(part))
    most, left = EXAMPLES if most is None else most, CHARACTERS
    for start in range(0, min(len(part), most), 500):
        for example in part[start : min(start + 500, most)]:
            left -= _add(digest, example)
        if left < 0:
            break
    return digest.hexdigest()


def _described(metadata: TaskMetadata) -> list[Any]:
    """The metadata that decide how examples are trained and scored."""
    about = [metadata.family, metadata.labels, metadata.chosen_metric, metadata.answer_tokens]
    return [*about, metadata.value_range] if metadata.value_range else about


def _add(digest: hashlib._Hash, value: Any) -> int:
    """Add a value to a digest; return how many bytes it has."""
    if isinstance(value, Example):  # earlier versions had no `value` and no `position`
        while value[-1] is None:
            value = value[:-1]
    data = json.dumps(value, default=_plain).encode() + b"\n"
    digest.update(data)
    return len(data)


def _plain(value: Any) -> Any:
    """A number of NumPy's as a number; of what no example should hold the type alone."""
    return value.item() if hasattr(value, "item") else type(value).__name__
