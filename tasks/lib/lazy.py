"""Generated tasks: splits that make their examples when they are read."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

from harness.core.cell import NO_CURRICULUM
from tasks.base import Example, Splits, Task
from tasks.lib.cache import cached

if TYPE_CHECKING:
    from numpy.random import Generator

BLOCK = 500
"""Examples that are made from one generator state, and kept in memory, at a time."""

SIZES = {"train": 100_000, "validation": 2_000, "test": 2_000}


class Drawn(NamedTuple):
    """A text, its label or labels, a note that is appended to the example's id, and the position.

    The position is that of `Example`. Under a curriculum it may be approximate.
    """

    text: str
    label: int = -1
    note: str = ""
    labels: tuple[int, ...] = ()
    position: float | None = None


Draw = Callable[["Generator", int], Sequence[Drawn]]
"""Makes n examples from a generator; labels that are balanced are balanced within each call."""


def generated(
    name: str,
    length: int,
    seed: int,
    draw_for: Callable[[str], Draw],
    sizes: Mapping[str, int] = SIZES,
    keep_as: str = "",
) -> Splits:
    """Three splits of generated examples; the seed changes the training texts only.

    Each block of a split has its own generator, seeded with the task's name, the split, the length,
    the seed and the block's number, so examples do not depend on what was read before. At most one
    block of a split is in memory.

    Args:
        name: of the task.
        length: in tokens.
        seed: of the training texts.
        draw_for: name of a split -> what draws its examples.
        sizes: examples of each split.
        keep_as: the generator's revision, if blocks are to be kept in the cache: for texts that
            take longer to draw than to read.
    """

    def part(split: str, own: int) -> _Lazy:
        state = (zlib.crc32(name.encode()), list(sizes).index(split), length, own)
        return _Lazy(split, sizes[split], state, draw_for(split), (name, keep_as))

    return Splits(part("train", seed), part("validation", 0), part("test", 0))


class GeneratedTask(Task):
    """A task whose texts are drawn at random, with optional curricula for its training texts."""

    @abstractmethod
    def draw_for(self, split: str, length: int, curriculum: str) -> Draw:
        """Return what draws the examples of a split; `curriculum` is `none` but for train."""

    def splits(self, length: int, seed: int) -> Splits:
        """Texts that fill `length` tokens; the seed changes the training texts."""
        return generated(
            self.metadata.name, length, seed, lambda s: self.draw_for(s, length, NO_CURRICULUM)
        )

    def training(
        self, length: int, seed: int, curriculum: str = NO_CURRICULUM
    ) -> Sequence[Example]:
        """Training texts under a curriculum."""
        self.check_curriculum(curriculum)
        draw = self.draw_for("train", length, curriculum)
        return generated(self.metadata.name, length, seed, lambda _: draw).train


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
                f"{start}-{block * BLOCK + place}{one.note}",
                one.text,
                one.label,
                labels=one.labels,
                position=one.position,
            )
            for place, one in enumerate(self._draw(random, BLOCK))
        ]
