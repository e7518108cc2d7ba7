"""A backbone's tokenizer: the whole of it, or what tells the tokens of a text or of words."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import PreTrainedTokenizerBase

    from harness.backbones import Backbone
    from tasks.base import Count

_VOCABULARIES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model",
)  # fmt: skip
"""Files of which a folder with a tokenizer has one."""


def load_tokenizer(backbone: Backbone) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer; one without a padding token pads with its end-of-text token.

    Raises:
        ValueError: there is none, or it is not a fast one.
    """
    from transformers import AutoTokenizer

    if not any((backbone.folder / name).is_file() for name in _VOCABULARIES):
        # transformers would make one with an empty vocabulary, and every word would be unknown
        raise ValueError(f"there is none in {backbone.folder}: expected tokenizer.json")
    tokenizer = AutoTokenizer.from_pretrained(
        backbone.folder, trust_remote_code=False, local_files_only=True
    )
    if not tokenizer.is_fast:
        raise ValueError(f"{type(tokenizer).__name__} is not a fast one: it gives no offsets")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ValueError("it has neither a padding token nor an end of text")
    return tokenizer


def token_offsets(backbone: Backbone) -> Callable[[str], list[tuple[int, int]]]:
    """Return what tells where a text's tokens begin and end, in characters, none cut or added.

    From tokenizer.json where there is one: transformers, which takes seconds to import, would read
    the same file.

    Raises:
        ValueError: there is no tokenizer, or it is not a fast one.
    """
    tokenizer = _tokenizer(backbone)
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).offsets)


def word_counter(backbone: Backbone) -> Count:
    """Return what tells how many tokens words are where they stand after another.

    The tokenizer is read at the first question, which raises as `token_offsets`.
    """
    read = cache(lambda: _tokenizer(backbone))
    return lambda words: [len(ids) for ids in _after_another(read(), words)]


def tokens_of(backbone: Backbone, words: Sequence[str]) -> list[list[int]]:
    """Return the token ids of words where each stands after another; raises as `token_offsets`."""
    return _after_another(_tokenizer(backbone), words)


def _after_another(tokenizer: Any, words: Sequence[str]) -> list[list[int]]:
    texts = ["a", *(f"a {word}" for word in words)]
    before, *others = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [one.ids[len(before.ids) :] for one in others]


def plain_tokenizer(backbone: Backbone) -> Any:
    """Return the tokenizers package's own tokenizer; raises as `token_offsets`."""
    return _tokenizer(backbone)


def _tokenizer(backbone: Backbone) -> Any:
    """The tokenizers package's tokenizer, which cuts and adds nothing."""
    from tokenizers import Tokenizer

    path = backbone.folder / "tokenizer.json"
    if path.is_file():
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise ValueError(f"{path}: {error}") from None
    else:
        tokenizer = load_tokenizer(backbone).backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
