"""Which lengths the test texts reach: a score "at 20000 tokens" may rest on shorter texts.

All arms at a length read the same texts: this belongs to a task, a length and a tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reports.files import LM_EVAL, Result
from reports.text import listed

HALF = 0.5
"""A length that a smaller share of the test texts reaches is marked."""


def reach_notes(results: Iterable[Result]) -> dict[int, str]:
    """For each length that fewer than half of the test texts reach, a few words that say so.

    `12 % reach`; where a task declares whole, shorter texts, `longest text 97`. Where cells of a
    length differ (other numbers of test texts), the smallest share counts.
    """
    notes: dict[int, str] = {}
    for length, own in _by_length(results).items():
        share = _share(own)
        if share is None or share >= HALF:
            continue
        longest = max((int(r["longest"]) for r in own if r["longest"] is not None), default=None)
        whole = all(r["whole_texts"] for r in own) and longest is not None and longest < length
        notes[length] = f"longest text {longest}" if whole else f"{_percent(share)} reach"
    return notes


def noted(length: int, notes: dict[int, str], between: str = "") -> str:
    """A length as axes, panels and headings name it: `20000 tokens (0 % reach)`."""
    note = notes.get(length)
    return f"{length}{between}" + (f" ({note})" if note else "")


def reach_sentence(results: Sequence[Result]) -> str:
    """The marked lengths in sentences, for captions, text alternatives and summaries."""
    cells, short, whole = _by_length(results), [], []
    for length, note in reach_notes(results).items():
        longest = max((int(r["longest"]) for r in cells[length] if r["longest"]), default=None)
        if note.endswith(" reach"):
            told = note.removesuffix(" reach")
            told += "" if longest in (None, length) else f"; the longest has {longest}"
            short.append(f"{length} tokens ({told})")
        else:
            whole.append(f"{longest} at {length}")
    sentences = []
    if short:
        sentences.append(f"Fewer than half of the test texts reach {listed(short)}.")
    if whole:
        sentences.append(
            "The texts of this task are read whole and most are shorter than the length. Tokens of "
            f"the longest test text: {listed(whole)}."
        )
    return " ".join(sentences)


def _by_length(results: Iterable[Result]) -> dict[int, list[Result]]:
    """Cells that say how far their texts reach, by length."""
    found: dict[int, list[Result]] = {}
    for r in results:
        if r["reach"] is not None and r["task"] != LM_EVAL:
            found.setdefault(int(r["length"]), []).append(r)
    return dict(sorted(found.items()))


def _share(cells: Sequence[Result]) -> float | None:
    return min((float(r["reach"]) for r in cells), default=None)


def _percent(share: float) -> str:
    """Rounded down, so that what is below one half never reads as one half."""
    return "< 1 %" if 0 < share < 0.01 else f"{int(100 * share)} %"
