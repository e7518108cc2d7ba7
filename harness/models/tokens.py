"""The tokenizer of a backbone, and functions that count tokens without transformers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from harness.core.errors import one_line
from harness.models.backbones import EMBEDDED
from harness.models.quiet import quiet
from tasks.lib.texts import well_formed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harness.models.backbones import Backbone
    from tasks.base import TokenCounter

_VOCABULARIES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model",
)  # fmt: skip
"""A folder with a tokenizer has one of these files."""

_NO_LIMIT = int(1e30)
"""The `model_max_length` of transformers for "no limit"."""


def load_tokenizer(backbone: Backbone) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer. Without a padding token it pads with the end-of-text token.

    Truncation and padding are set here, at the end of a text, whatever the folder says. So the
    model, the baseline and the export read the same part of a text.

    Raises:
        ValueError: there is no tokenizer, or it is not a fast one.
    """
    if not any((backbone.folder / name).is_file() for name in _VOCABULARIES):
        # transformers would make a tokenizer with an empty vocabulary
        raise ValueError(f"there is none in {backbone.folder}: expected tokenizer.json")
    tokenizer = _read(backbone.folder)
    if not tokenizer.is_fast:
        raise ValueError(f"{type(tokenizer).__name__} is not a fast one: it gives no offsets")
    tokenizer.truncation_side = tokenizer.padding_side = "right"
    tokenizer.model_max_length = _NO_LIMIT
    tokenizer.clean_up_tokenization_spaces = False
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ValueError("it has neither a padding token nor an end of text")
    return tokenizer


def _read(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        with quiet():
            return AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
    except Exception as error:  # tokenizers raises nothing narrower
        if "trust_remote_code" in str(error):
            raise ValueError(
                f"{folder}/tokenizer_config.json: auto_map: it is code that comes with the model, "
                f"which is never run: save it as a fast tokenizer (tokenizer.json)"
            ) from None
        name = next(name for name in _VOCABULARIES if (folder / name).is_file())
        raise ValueError(
            f"{folder / name}: it and tokenizer_config.json cannot be read as a tokenizer "
            f"({type(error).__name__}: {one_line(error)})"
        ) from None


def check_ids(tokenizer: PreTrainedTokenizerBase, encoder: PreTrainedModel) -> None:
    """Check that a model has an embedding for every token and every segment.

    Raises:
        ValueError: naming the token or the number of segments.
    """
    from harness.models.heads import segments_of

    rows = int(encoder.get_input_embeddings().weight.shape[0])
    outside = {i: token for token, i in tokenizer.get_vocab().items() if i >= rows}
    pair = tokenizer("a", "a", return_token_type_ids=True)
    outside |= {i: f"number {i}" for i in pair["input_ids"] if i >= rows and i not in outside}
    if outside:
        first = min(outside)
        raise ValueError(
            f"the token '{outside[first]}' has the id {first}, and the model has embeddings for "
            f"{rows} tokens only ({len(outside)} tokens have none): take the model's own "
            f"tokenizer, or add rows with resize_token_embeddings and save the model again"
        )
    segments = segments_of(encoder)
    kinds = max(pair["token_type_ids"]) + 1
    if 1 < segments < kinds:
        raise ValueError(
            f"it uses {kinds} segments (token_type_ids), and the model has {segments} "
            f"(type_vocab_size): take the model's own tokenizer"
        )


def token_offsets(backbone: Backbone) -> Callable[[str], list[tuple[int, int]]]:
    """Return a function: text -> (start, end) of each token in characters, without truncation.

    Raises:
        ValueError: there is no tokenizer, or it is not a fast one.
    """
    tokenizer = _tokenizer(backbone)
    return lambda text: list(tokenizer.encode(well_formed(text), add_special_tokens=False).offsets)


def word_counter(backbone: Backbone) -> TokenCounter:
    """Return a function: words -> tokens of each word when it follows another word.

    The tokenizer is read at the first call, which raises as `token_offsets` does.
    """
    read = cache(lambda: _tokenizer(backbone))
    return lambda words: [len(ids) for ids in _after_another(read(), words)]


def tokens_of(backbone: Backbone, words: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each word when it follows another; raises as `token_offsets`."""
    return _after_another(_tokenizer(backbone), words)


def _after_another(tokenizer: Any, words: Sequence[str]) -> list[list[int]]:
    texts = ["a", *(f"a {well_formed(word)}" for word in words)]
    before, *others = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [one.ids[len(before.ids) :] for one in others]


def plain_tokenizer(backbone: Backbone) -> Any:
    """Return the tokenizer of the tokenizers package; raises as `token_offsets`."""
    return _tokenizer(backbone)


def _tokenizer(backbone: Backbone) -> Any:
    """The tokenizer of the tokenizers package, without truncation and padding.

    For an embedded backbone it is read without transformers, whose import takes seconds. Other
    tokenizers may have settings that only transformers applies, such as `do_lower_case`.
    """
    if backbone.name not in EMBEDDED:
        return load_tokenizer(backbone).backend_tokenizer
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(backbone.folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
