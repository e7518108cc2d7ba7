"""From texts to the token ids that a model reads. Tokenizers are those of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.lib.texts import A_TOKEN

if TYPE_CHECKING:
    Tokenizer = Any
    """A `transformers.PreTrainedTokenizerBase` with offsets."""

IGNORED = -100
"""The label of a token without a loss, as in torch and transformers."""

_REST = 200
"""Characters behind a cut that are checked for tokens."""


class Row(NamedTuple):
    """One input of the model.

    Attributes:
        ids: token ids, special tokens included.
        types: segment ids of a tokenizer that has them, of two texts; else None.
        texts: the part of the text that was kept, and what follows it ("" for one text).
        cut: whether something was cut off.
        start: index of the first token with a loss, for tasks that use the language-model head.
    """

    ids: list[int]
    types: list[int] | None
    texts: tuple[str, str]
    cut: bool
    start: int = 0

    @property
    def kept(self) -> str:
        """All text that was kept, for baselines."""
        return "\n".join(self.texts) if self.texts[1] else self.texts[0]


def encode_texts(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    others: Sequence[str] | None,
    length: int,
    task: str,
    only_first: bool = False,
) -> list[Row]:
    """Encode texts, or texts and others in pairs, to at most `length` tokens.

    The end of the longer text is cut, or with `only_first` that of the first text.

    Raises:
        ValueError: others that are not cut leave no room for a text of `task`.
    """
    # Without a separator token, two texts would run into each other.
    gap = "" if tokenizer.sep_token else "\n\n"
    seconds = None if others is None else [gap + other for other in others]

    if seconds and only_first:
        longest = max(map(len, tokenizer(seconds)["input_ids"]))
        check_room(longest, length - 2, length, task)

    def tokenised(most: int | None) -> Any:
        return tokenizer(
            [text[:most] for text in texts],
            seconds and [other[:most] for other in seconds],
            truncation="only_first" if only_first else True,
            max_length=length,
            return_offsets_mapping=True,
        )

    most = A_TOKEN * length
    coded = tokenised(most)
    if any(
        len(ids) < length and len(text) > most
        for ids, text in zip(coded["input_ids"], texts, strict=True)
    ):
        coded = tokenised(None)
    types = coded.get("token_type_ids") if seconds else None
    rows = []
    for number, text in enumerate(texts):
        other = seconds[number] if seconds else ""
        ends = [0, 0]
        for (_, end), part in zip(
            coded["offset_mapping"][number], coded.sequence_ids(number), strict=True
        ):
            if part is not None:
                ends[part] = max(ends[part], end)
        ids = coded["input_ids"][number] or [empty_text_token(tokenizer)]
        rest = f"{text[ends[0] :][:_REST].strip()} {other[ends[1] :][:_REST].strip()}".strip()
        # The rest may have no tokens, for example if it consists of control characters.
        cut = len(ids) == length and bool(rest) and bool(plain_tokens(tokenizer, rest)["input_ids"])
        kept = (text[: ends[0]], other[len(gap) : ends[1]])
        rows.append(Row(ids, (types[number] or [0]) if types else None, kept, cut))
    return rows


def plain_tokens(tokenizer: Tokenizer, text: str) -> Any:
    """Return ids and offsets of a text without special tokens."""
    return tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)


def first_token(tokenizer: Tokenizer) -> list[int]:
    """Return the token that begins every text, if the tokenizer has one."""
    return [i for i in tokenizer("a")["input_ids"][:1] if i == tokenizer.bos_token_id]


def front(tokenizer: Tokenizer, text: str, room: int) -> tuple[list[int], int]:
    """Return the first `room` tokens of a text and the number of characters that they cover."""
    for most in (A_TOKEN * room, None):
        coded = plain_tokens(tokenizer, text[:most])
        ids, offsets = coded["input_ids"], coded["offset_mapping"]
        if len(ids) > room:
            return ids[:room], offsets[room - 1][1]
        if most is None or len(text) <= most:
            break
    return ids, len(text)


def end_of_text(tokenizer: Tokenizer) -> int:
    """Return the token that ends an answer.

    Raises:
        ValueError: the tokenizer has none.
    """
    for token in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        if token is not None:
            return int(token)
    raise ValueError("it has no end of text")


def empty_text_token(tokenizer: Tokenizer) -> int:
    """Return the token for a text without tokens: the end of text, else padding."""
    try:
        return end_of_text(tokenizer)
    except ValueError:
        return int(tokenizer.pad_token_id)


def check_room(taken: int, most: int, length: int, task: str) -> None:
    """Check that questions and answers leave room for a text.

    Raises:
        ValueError: they do not.
    """
    if taken > most:
        raise ValueError(
            f"the questions and answers of '{task}' take up to {taken} tokens: {length} leave no "
            f"room for a text; use a greater length"
        )
