"""Splits whose data stays on disk: sequences that make an example when it is read."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import overload

from tasks.base import Example, Splits, TaskError

SCHEMA_ONLY = "Checked on its schema only."
"""Ends the description of a task whose real data no test of this project has read."""


CUT = 2_000
"""Validation examples at most, where they are cut from train (a tenth of it, if that is less)."""


class Rows(Sequence[Example]):
    """Examples by number, in a given order; nothing is kept of what was read."""

    def __init__(self, make: Callable[[int], Example], order: Sequence[int]) -> None:
        self._make, self._order = make, order

    def __len__(self) -> int:
        """How many examples there are."""
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
    """The numbers in an order that the seed decides, 8 bytes each."""
    order = array("q", numbers)
    random.Random(seed).shuffle(order)
    return order


def cut(codes: Sequence[int]) -> tuple[array[int], array[int]]:
    """Numbers of the rows for validation and for train, by a checksum of each row.

    Those of the lowest checksums validate; rows of one checksum stay on one side.
    """
    if not codes:
        return array("q"), array("q")
    most = sorted(codes)[min(CUT, max(1, len(codes) // 10)) - 1]
    held = array("q", (number for number, code in enumerate(codes) if code <= most))
    return held, array("q", (number for number, code in enumerate(codes) if code > most))


def filled(splits: Splits, where: str, how: str) -> Splits:
    """Return the splits as they are, if each has an example.

    Raises:
        TaskError: one has none; `where` begins the message, and `how` says what to do.
    """
    sizes = {name: len(part) for name, part in splits._asdict().items()}
    if not all(sizes.values()):
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise TaskError(f"{where} leaves a split without examples ({told}): {how}")
    return splits
