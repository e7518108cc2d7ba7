"""The real tokenizer of the embedded backbone, loaded once for the tests that count tokens."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from harness.models.backbones import find_backbone
from harness.models.tokens import load_tokenizer


@cache
def tokenizer() -> Any:
    return load_tokenizer(find_backbone("minilm"))


def lengths(texts: Iterable[str]) -> set[int]:
    """Lengths in tokens that occur, special tokens counted."""
    return {len(ids) for ids in tokenizer()(list(texts))["input_ids"]}
