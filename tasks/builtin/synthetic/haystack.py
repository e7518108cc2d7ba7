"""A haystack of real text: the newsgroups' postings, no run of words in two of the splits."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from random import Random

from tasks.base import Count, Example, Splits
from tasks.builtin.documents.newsgroups import Newsgroups
from tasks.lib.cache import cached

RUN = 8
"""Words in a row that no two splits' postings may share."""

_RULES = "1"
"""Raised when what is kept of the postings, or what is made of it, changes."""


def stretch(draw: Random, part: str, room: int, count_of: Count) -> list[str]:
    """Words of a split's postings that follow each other and fill so many tokens."""
    words = _words(part)
    ends = _ends(part, count_of)
    first = draw.randrange(len(words))
    # Tokens are counted round the end of the last posting, for the longest of texts even twice.
    goal = (ends[first - 1] if first else 0) + room
    rounds, rest = divmod(goal, ends[-1])
    stop = rounds * len(words) + bisect_right(ends, rest)
    return [words[place % len(words)] for place in range(first, stop)]


@lru_cache(maxsize=3)
def _words(part: str) -> list[str]:
    """The words of a split's postings."""
    return [word for example in getattr(postings(), part) for word in example.text.split()]


@lru_cache(maxsize=3)
def _ends(part: str, count_of: Count) -> array[int]:
    """The tokens up to each word of a split's postings, itself included."""
    words = _words(part)
    different = list(dict.fromkeys(words))
    known = dict(zip(different, count_of(different), strict=True))
    return array("l", accumulate(map(known.__getitem__, words)))


def postings() -> Splits:
    """The newsgroups' postings without the runs of words that two splits share; cached."""
    return cached("facts", f"{Newsgroups.metadata.revision} {_RULES}", _build, watch=False)


def _build() -> Splits:
    """The newsgroups' postings less every run of words that stands in another split as well."""
    splits = Newsgroups().splits(Newsgroups.metadata.natural_length, 0)
    seen: set[str] = set()
    kept: dict[str, list[Example]] = {}
    for part in ("test", "validation", "train"):
        examples = sorted(getattr(splits, part))
        kept[part] = [e._replace(text=_without(e.text.split(), seen)) for e in examples]
        for example in examples:
            seen.update(_runs(example.text.split()))
    return Splits(**kept)


def _runs(words: list[str]) -> list[str]:
    return [" ".join(words[k : k + RUN]) for k in range(len(words) - RUN + 1)]


def _without(words: list[str], seen: set[str]) -> str:
    keep = [True] * len(words)
    for place, run in enumerate(_runs(words)):
        if run in seen:
            keep[place : place + RUN] = [False] * RUN
    return " ".join(word for word, kept in zip(words, keep, strict=True) if kept)
