"""Generated texts, read again: words told several times in a row, and lists of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tasks.words import COLOURS, FILLER


def told_once(text: str) -> tuple[int, str]:
    """How often a text tells each of its words, and the text that tells them once.

    The last word stands in the text once for each time. Whatever was not told so often, at the
    beginning, only fills the text, and is left out.
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
