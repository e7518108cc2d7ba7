"""Parts of splits: sequences that are read from disk on demand, orders, and divisions."""

from __future__ import annotations

import random
import zlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import overload

from tasks.base import Example, Splits, TaskError

CUT = 2_000
"""Validation examples cut from train, at most (a tenth of train, if that is less)."""


class Rows(Sequence[Example]):
    """Examples that are made by number, in a given order, each time they are read."""

    def __init__(self, make: Callable[[int], Example], order: Sequence[int]) -> None:
        self._make, self._order = make, order

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        """Make an example, or those of a slice."""
        if isinstance(index, slice):
            return [self._make(number) for number in self._order[index]]
        return self._make(self._order[index])


def shuffled(numbers: Iterable[int], seed: int) -> array[int]:
    """The numbers in an order that depends on the seed, 8 bytes each."""
    order = array("q", numbers)
    random.Random(seed).shuffle(order)
    return order


def shuffle_train(splits: Splits, seed: int) -> Splits:
    """The splits with train in an order that depends on the seed."""
    train = list(splits.train)
    random.Random(seed).shuffle(train)
    return splits._replace(train=train)


def read_ends(splits: Splits) -> None:
    """Read the first and the last example of each split, to find damaged data early."""
    for part in splits:
        for place in (0, -1):
            part[place]


def cut(codes: Sequence[int]) -> tuple[array[int], array[int]]:
    """Row numbers for validation and for train, by a checksum of each row.

    The rows with the lowest checksums are the validation rows; equal checksums stay together.
    """
    if not codes:
        return array("q"), array("q")
    most = sorted(codes)[min(CUT, max(1, len(codes) // 10)) - 1]
    held = array("q", (number for number, code in enumerate(codes) if code <= most))
    return held, array("q", (number for number, code in enumerate(codes) if code > most))


def deal_folders(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Divide examples whose ids are paths: 10 % validation, 25 % test, at most, the rest train.

    A folder stays whole. Folders are dealt in the order of their names' checksums, each to the
    first split that has room for it.
    """
    folders: dict[str, list[Example]] = {}
    for example in sorted(examples):
        folders.setdefault(example.id.rpartition("/")[0], []).append(example)
    limits = {"validation": 0.1, "test": 0.25, "train": 1.0}
    parts: dict[str, list[Example]] = {part: [] for part in limits}
    for name in sorted(folders, key=lambda name: zlib.crc32(name.encode())):
        fits = (
            part
            for part, share in limits.items()
            if len(parts[part]) + len(folders[name]) <= share * len(examples)
        )
        parts[next(fits)] += folders[name]
    return parts


def filled(splits: Splits, where: str, how: str) -> Splits:
    """Return the splits unchanged, if each has an example.

    Raises:
        TaskError: one has none; `where` begins the message, and `how` says what to do.
    """
    sizes = {name: len(part) for name, part in splits._asdict().items()}
    if not all(sizes.values()):
        counts = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise TaskError(f"{where} leaves a split without examples ({counts}): {how}")
    return splits
