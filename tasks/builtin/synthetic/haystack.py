"""A haystack of real text: newsgroups postings, without runs of words that two splits share."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from random import Random

from tasks.base import Example, Splits, TokenCounter
from tasks.builtin.documents.newsgroups import Newsgroups
from tasks.lib.cache import cached

RUN = 8
"""Words in a row that the postings of two splits may not share."""

_RULES = "1"
"""Increase when the selection or the processing of the postings changes."""


def stretch(draw: Random, part: str, room: int, token_counter: TokenCounter) -> list[str]:
    """Consecutive words of a split's postings that fill `room` tokens."""
    words = _words(part)
    ends = _ends(part, token_counter)
    first = draw.randrange(len(words))
    # After the last posting the first one follows; the longest texts go round twice.
    goal = (ends[first - 1] if first else 0) + room
    rounds, rest = divmod(goal, ends[-1])
    stop = rounds * len(words) + bisect_right(ends, rest)
    return [words[place % len(words)] for place in range(first, stop)]


@lru_cache(maxsize=3)
def _words(part: str) -> list[str]:
    """The words of a split's postings."""
    return [word for example in getattr(postings(), part) for word in example.text.split()]


@lru_cache(maxsize=3)
def _ends(part: str, token_counter: TokenCounter) -> array[int]:
    """The cumulative number of tokens after each word of a split's postings."""
    words = _words(part)
    different = list(dict.fromkeys(words))
    known = dict(zip(different, token_counter(different), strict=True))
    return array("l", accumulate(map(known.__getitem__, words)))


def postings() -> Splits:
    """The newsgroups' postings without the runs of words that two splits share; cached."""
    return cached("facts", f"{Newsgroups.metadata.revision} {_RULES}", _build, watch=False)


def _build() -> Splits:
    """The newsgroups' postings without every run of words that occurs in another split as well."""
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
