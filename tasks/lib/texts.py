"""How right a written text is (ROUGE-L, exact match), and what texts are made of."""

from __future__ import annotations

import lzma
import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

MOST = 20_000
"""Characters of a text that are judged: ROUGE-L takes time with the product of two lengths."""


A_TOKEN = 32
"""Characters: few texts have more a token, so that the rest of one that is cut is not tokenised."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def judge(said: str, right: str, metric: str) -> float:
    """Score of a text against one that is right, 0 to 1.

    `rouge_l`: F1 of the longest common subsequence of words (Lin, ROUGE, 2004), words stemmed, by
    the rouge-score package, to which a word is letters a to z and digits: of other scripts it sees
    nothing. `exact_match`: 1 if both are the same but for case, punctuation, articles and spaces
    (as SQuAD judges; Rajpurkar et al., 2016); of an answer that is nothing else, but for case.
    """
    if metric == "exact_match":
        if not _plain(right):
            return float(said.lower().split() == right.lower().split())
        return float(_plain(said) == _plain(right))
    return float(_rouge().score(right[:MOST], said[:MOST])["rougeL"].fmeasure)


def _plain(text: str) -> str:
    bare = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


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
