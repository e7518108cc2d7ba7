"""RULER's words, `adjective-noun`, in lm-eval's order, computed one at a time.

lm-eval 0.4.13 sorts all 6,171,620 words on import, which takes 10 s and 0.7 GB in every cell.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from types import SimpleNamespace
from typing import Any, overload


class Words(Sequence[str]):
    """The items of `sorted({f"{a}-{n}" for a in adjectives for n in nouns})`."""

    def __init__(self, adjectives: Iterable[str], nouns: Iterable[str]) -> None:
        self._nouns = sorted(set(nouns))
        groups: list[list[str]] = []
        for adjective in sorted(set(adjectives)):
            first = groups[-1][0] if groups else None
            # The words of `blue` and `blue-eyed` are mixed in the sorted order.
            if first and adjective.startswith(first) and adjective[len(first)] <= "-":
                groups[-1].append(adjective)
            else:
                groups.append([adjective])
        self._groups = [self._words(group) if len(group) > 1 else group[0] for group in groups]
        sizes = (len(group) * len(self._nouns) for group in groups)
        self._starts = list(accumulate(sizes, initial=0))

    def _words(self, adjectives: list[str]) -> list[str]:
        return sorted(f"{adjective}-{noun}" for adjective in adjectives for noun in self._nouns)

    def __len__(self) -> int:
        """Return the number of words."""
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """Return the word at a position of the sorted list."""
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        place = range(len(self))[index]
        number = bisect_right(self._starts, place) - 1
        group, place = self._groups[number], place - self._starts[number]
        return f"{group}-{self._nouns[place]}" if isinstance(group, str) else group[place]


@contextmanager
def swapped(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute of `owner` until the block ends."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def import_niah() -> None:
    """Import RULER's needle module with these words, unless it is imported already."""
    name = "lm_eval.tasks.ruler.prepare_niah"
    if name in sys.modules:
        return
    import wonderwords

    real = wonderwords.RandomWord()._categories
    few = SimpleNamespace(_categories={**real, "adjectives": real["adjectives"][:1]})
    with swapped(wonderwords, "RandomWord", lambda: few):
        from lm_eval.tasks.ruler import prepare_niah
    prepare_niah.WORDS = Words(real["adjectives"], real["nouns"])
