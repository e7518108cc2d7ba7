"""One example -> the rows of token ids that a model sees, by the task's family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks import Example, TaskMetadata
from tasks.lib.texts import A_TOKEN, well_formed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_REST = 200
"""Characters of what was cut off that are looked at."""


class Row(NamedTuple):
    """Token ids, segment numbers where a tokenizer has them, and what became of the text.

    Attributes:
        kept: the text that was kept.
        lost: whether something was cut off.
        start: the first token that is learned, where tokens are.
    """

    ids: list[int]
    types: list[int] | None
    kept: str
    lost: bool
    start: int = 0


Rower = Callable[[Sequence[Example]], list[Row]]


def row_maker(tokenizer: PreTrainedTokenizerBase, length: int, metadata: TaskMetadata) -> Rower:
    """Return what makes rows of at most `length` tokens of a family's examples."""

    def judged(examples: Sequence[Example]) -> list[Row]:
        return _judged(examples, tokenizer, length, metadata)

    def answered(examples: Sequence[Example]) -> list[Row]:
        return [_answered(example, tokenizer, length, metadata) for example in examples]

    def read(examples: Sequence[Example]) -> list[Row]:
        return [_read(example, tokenizer, length, metadata) for example in examples]

    if metadata.family == "language_modelling":
        return read
    return answered if metadata.family == "generation" else judged


def _judged(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    metadata: TaskMetadata,
) -> list[Row]:
    """One text, two texts, or a text with each of its choices."""
    family = metadata.family
    first = [e.text for e in examples for _ in e.choices or ("",)]
    second = None
    if family in ("pair", "choice"):
        # A tokenizer without a separator would run the texts into each other.
        gap = "" if tokenizer.sep_token else "\n\n"
        said = [[f"{e.second} {c}".strip() for c in e.choices] or [e.second] for e in examples]
        second = [gap + text for texts in said for text in texts]
    if family == "choice":
        longest = max(map(len, tokenizer(second or [])["input_ids"]))
        _check_room(longest, length - 2, length, metadata)

    def tokenised(most: int | None) -> Any:
        return tokenizer(
            [text[:most] for text in first],
            [text[:most] for text in second] if second else None,
            truncation="only_first" if family == "choice" else True,
            max_length=length,
            return_offsets_mapping=True,
        )

    most = A_TOKEN * length
    coded = tokenised(most)
    if any(
        len(ids) < length and len(text) > most
        for ids, text in zip(coded["input_ids"], first, strict=True)
    ):
        coded = tokenised(None)
    types = coded.get("token_type_ids") if second else None
    rows = []
    for number, text in enumerate(first):
        other = second[number] if second else ""
        ends = [0, 0]
        for (_, end), part in zip(
            coded["offset_mapping"][number], coded.sequence_ids(number), strict=True
        ):
            if part is not None:
                ends[part] = max(ends[part], end)
        ids = coded["input_ids"][number] or [blank(tokenizer)]
        rest = f"{text[ends[0] :][:_REST].strip()} {other[ends[1] :][:_REST].strip()}".strip()
        # What is left may be nothing to the tokenizer: control characters, for one.
        lost = len(ids) == length and bool(rest) and bool(_bare(tokenizer, rest)["input_ids"])
        kept = text[: ends[0]] + ("\n" + other[: ends[1]] if other else "")
        kinds = (types[number] or [0]) if types else None
        rows.append(Row(ids, kinds, kept, lost))
    return rows


def _answered(
    example: Example, tokenizer: PreTrainedTokenizerBase, length: int, metadata: TaskMetadata
) -> Row:
    """A text, a question, the first answer and the token that ends a text.

    The text alone is cut; room for the longest answer is left at every example, so that training
    and test are cut alike and an answer that is generated has its place within the length.
    """

    asked = _bare(tokenizer, asked_of(example))["input_ids"]
    begin = _begin(tokenizer)
    room = length - len(begin) - len(asked) - metadata.answer_tokens
    _check_room(length - room, length - 1, length, metadata)
    ids, end = _front(tokenizer, example.text, room)
    answer = _bare(tokenizer, f" {example.answers[0]}" if example.answers else "")["input_ids"]
    closed = [*answer[: metadata.answer_tokens - 1], end_of_text(tokenizer)]
    prompt = [*begin, *ids, *asked]
    kept = f"{example.text[:end]}\n{example.second}".strip()
    return Row([*prompt, *closed], None, kept, end < len(example.text), len(prompt))


def _read(
    example: Example, tokenizer: PreTrainedTokenizerBase, length: int, metadata: TaskMetadata
) -> Row:
    """The front of a text behind what begins texts; nothing closes it, for it may go on.

    A loss needs a token and one before it. A shorter text is put behind an end of text, as what
    begins a document.
    """
    begin = _begin(tokenizer)
    ids, end = _front(tokenizer, example.text, length - len(begin))
    missing = 2 - len(begin) - len(ids)
    row = [*[blank(tokenizer)] * missing, *begin, *ids]
    return Row(row, None, example.text[:end], end < len(example.text))


def _bare(tokenizer: PreTrainedTokenizerBase, text: str) -> Any:
    return tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)


def _begin(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [i for i in tokenizer("a")["input_ids"][:1] if i == tokenizer.bos_token_id]


def _front(tokenizer: PreTrainedTokenizerBase, text: str, room: int) -> tuple[list[int], int]:
    """The first `room` tokens of a text, and how many of its characters they stand for."""
    for most in (A_TOKEN * room, None):
        coded = _bare(tokenizer, text[:most])
        ids, offsets = coded["input_ids"], coded["offset_mapping"]
        if len(ids) > room:
            return ids[:room], offsets[room - 1][1]
        if most is None or len(text) <= most:
            break
    return ids, len(text)


def end_of_text(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that closes an answer.

    Raises:
        ValueError: the tokenizer has none.
    """
    for token in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        if token is not None:
            return int(token)
    raise ValueError("it has no end of text")


def blank(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that a text without any token is read as: the end of text, or padding."""
    try:
        return end_of_text(tokenizer)
    except ValueError:
        return int(tokenizer.pad_token_id)


def cleaned(example: Example) -> Example:
    """An example whose texts can be encoded, printed and written to a file."""
    return example._replace(
        id=well_formed(str(example.id)),
        text=well_formed(example.text),
        second=well_formed(example.second),
        choices=tuple(map(well_formed, example.choices)),
        answers=tuple(map(well_formed, example.answers)),
    )


def asked_of(example: Example) -> str:
    """What stands between a text and the answer that is to be written."""
    return f"\n\n{example.second}\nAnswer:" if example.second else "\n\nAnswer:"


def _check_room(taken: int, most: int, length: int, metadata: TaskMetadata) -> None:
    if taken > most:
        raise ValueError(
            f"the questions and answers of '{metadata.name}' take up to {taken} tokens: {length} "
            f"leave no room for a text"
        )
