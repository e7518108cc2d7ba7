"""Reads generated texts: undoes repeated tokens, and parses lists of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tasks.words import COLOURS, FILLER


def undo_repeats(text: str) -> tuple[int, str]:
    """Return k, the number of times that each word is repeated in place, and the short text.

    k is the length of the last run of one word. Words at the beginning that are not repeated k
    times only fill the text; they are left out.
    """
    runs = [(word, len([*run])) for word, run in groupby(text.split())]
    often = runs[-1][1]
    once: list[str] = []
    for word, count in reversed(runs):
        once += [word] * (count // often)
        if count % often:
            break
    return often, " ".join(reversed(once))


def pairs_of(words: Sequence[str]) -> dict[tuple[str, str], tuple[int, int]]:
    """Key -> (value, place) of a list of pairs, "cold river red .", each key of which comes once.

    Four words of filler are a pair's place that none stands in.
    """
    known: dict[tuple[str, str], tuple[int, int]] = {}
    for place, (adjective, noun, value, stop) in enumerate(zip(*[iter(words)] * 4, strict=True)):
        if value in FILLER:
            assert {adjective, noun, stop} <= set(FILLER)
        else:
            assert stop == "."
            assert (adjective, noun) not in known
            known[adjective, noun] = COLOURS.index(value), place
    return known
