"""Training texts that tell each word several times in a row, put back together."""

from __future__ import annotations

from itertools import groupby


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
