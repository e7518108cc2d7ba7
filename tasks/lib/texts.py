"""Properties of texts: their information content, and characters that cannot be encoded."""

from __future__ import annotations

import lzma
import math
import re
from collections import Counter
from collections.abc import Sequence

A_TOKEN = 32
"""Characters: few texts have more a token, so that the rest of one that is cut is not tokenised."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def bits(texts: Sequence[str]) -> tuple[float, float]:
    """Bits that all texts take: each character on its own, and every text compressed by LZMA.

    The first rests on how often a character occurs in all texts; the second is the less for each
    the more a text repeats itself: what a memory of it could win.
    """
    counts = Counter(char for text in texts for char in text)
    total = sum(counts.values())
    alone = -sum(n * math.log2(n / total) for n in counts.values())
    raw = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
    packed = sum(
        len(lzma.compress(text.encode("utf-8", "replace"), lzma.FORMAT_RAW, filters=raw))
        for text in texts
    )
    return alone, 8.0 * packed


def well_formed(text: str) -> str:
    """A text with U+FFFD for each lone surrogate, which no tokenizer, file or terminal takes.

    Its length stays the same, so offsets into it are offsets into the original.
    """
    return _SURROGATE.sub("\ufffd", text)
