"""Splits of generated tasks: sequences that make their examples when they are read."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

from tasks.base import Example, Splits
from tasks.lib.cache import cached

if TYPE_CHECKING:
    from numpy.random import Generator

BLOCK = 500
"""Examples drawn from one state of the generator: what is made and kept at once."""

SIZES = {"train": 100_000, "validation": 2_000, "test": 2_000}


class Drawn(NamedTuple):
    """A text, its label or labels, and what its id shall say of it (where a needle lies, say)."""

    text: str
    label: int = -1
    note: str = ""
    labels: tuple[int, ...] = ()


Draw = Callable[["Generator", int], Sequence[Drawn]]
"""Makes so many examples from a generator's state; those that are balanced are so by the call."""


def generated(
    name: str,
    length: int,
    seed: int,
    draw: Draw,
    sizes: Mapping[str, int] = SIZES,
    keep_as: str = "",
    train: Draw | None = None,
    validation: Draw | None = None,
) -> Splits:
    """Three splits of a task whose texts are drawn; the seed draws the training texts only.

    `train` draws the training texts if they are not like the others: some easier than those that
    are judged, which alone may be too hard to learn from (`docs/learned.md`). `validation` draws
    its own if what it draws must not be drawn for the test.

    Each block of each split starts a generator of its own, from the task's name, the split, the
    length, the seed and the block's number, so nothing depends on what was read before. No more
    than one block of a split is in memory. With `keep_as`, the generator's revision, blocks are
    kept in the cache: for what takes longer to draw than to read.
    """

    def part(name_of: str, own: int, draw: Draw) -> _Lazy:
        state = (zlib.crc32(name.encode()), list(sizes).index(name_of), length, own)
        return _Lazy(name_of, sizes[name_of], state, draw, (name, keep_as))

    return Splits(
        part("train", seed, train or draw),
        part("validation", 0, validation or draw),
        part("test", 0, draw),
    )


class _Lazy(Sequence[Example]):
    def __init__(
        self,
        part: str,
        size: int,
        state: tuple[int, ...],
        draw: Draw,
        keep: tuple[str, str],
    ) -> None:
        self._part, self._size, self._state = part, size, state
        self._draw, self._keep = draw, keep
        self._last: tuple[int, list[Example]] = (-1, [])

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(self._size)[index]]
        block, place = divmod(range(self._size)[index], BLOCK)
        if self._last[0] != block:
            self._last = (block, self._read(block))
        return self._last[1][place]

    def _read(self, block: int) -> list[Example]:
        name, revision = self._keep
        if not revision:
            return self._make(block)
        key = f"{revision} {self._state} {block}"
        return list(
            cached(
                name,
                key,
                lambda: Splits(self._make(block), [], []),
                reads_files=False,
                code=self._draw,
                quiet=True,
            ).train
        )

    def _make(self, block: int) -> list[Example]:
        import numpy as np

        random = np.random.default_rng([*self._state, block])
        start = f"{self._part}-{self._state[-1]}"
        return [
            Example(
                f"{start}-{block * BLOCK + place}{one.note}", one.text, one.label, labels=one.labels
            )
            for place, one in enumerate(self._draw(random, BLOCK))
        ]
