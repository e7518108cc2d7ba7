"""Metrics of written texts, compared with every right answer; the best counts."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.core.metrics.base import Metric, mean, register

if TYPE_CHECKING:
    from harness.core.metrics.base import Array, Values

_ROUGE_CHARACTERS = 20_000
"""Characters of a text that ROUGE-L reads: its time is the product of both lengths."""


def _best_answers(judge: Callable[[str, str], float]) -> Callable[..., Array]:
    def rows(predicted: Values, targets: Values) -> Array:
        import numpy as np

        pairs = zip(predicted, targets, strict=True)
        best = [max((judge(str(p), str(y)) for y in _texts(t)), default=0.0) for p, t in pairs]
        return np.array(best, dtype=float).reshape(-1, 1)

    return rows


def _texts(target: Any) -> Sequence[Any]:
    return target if isinstance(target, tuple | list) else (target,)


def rouge_l(text: str, answer: str) -> float:
    """F1 of the longest common subsequence of stemmed words (Lin, ROUGE, 2004), 0 to 1.

    By the rouge-score package, to which a word consists of letters a to z and digits: it finds no
    words in other scripts.
    """
    one, other = answer[:_ROUGE_CHARACTERS], text[:_ROUGE_CHARACTERS]
    return float(_rouge().score(one, other)["rougeL"].fmeasure)


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def exact_match(text: str, answer: str) -> float:
    """1 if two texts are equal except for case, punctuation, articles and white space, else 0.

    As in SQuAD (Rajpurkar et al., 2016). If nothing else is in the answer, only case and white
    space are ignored.
    """
    if not _normalised(answer):
        return float(text.lower().split() == answer.lower().split())
    return float(_normalised(text) == _normalised(answer))


def _normalised(text: str) -> str:
    bare = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


register(Metric("rouge_l", "ROUGE-L", _best_answers(rouge_l), mean, ("text",), by_text=True))
register(
    Metric("exact_match", "exact match", _best_answers(exact_match), mean, ("text",), by_text=True)
)
