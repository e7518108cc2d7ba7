"""Examples -> token ids -> padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tasks import Example, TaskMetadata

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Target = int | tuple[int, ...]
"""A label, the number of the right choice, or (multilabel) the labels that apply."""


@dataclass(frozen=True)
class Encoded:
    """Examples cut to a length, as models take them.

    Attributes:
        ids: token ids by row; an example has `rows` of them, one after the other: one row, or one
            for each of its choices.
        types: segment numbers of the same form, for tokenizers that tell two texts apart.
        targets: what is right, by example.
        names: by example.
        kept: the text that was kept, by row, so that a baseline on words sees no more.
        truncated: examples that lost something.
        labels: size of a multilabel target, else 0.
    """

    ids: list[list[int]]
    types: list[list[int]] | None
    targets: list[Target]
    names: list[str]
    kept: list[str]
    truncated: int
    rows: int = 1
    labels: int = 0

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.names)

    def width(self, example: int) -> int:
        """Tokens in an example's longest row."""
        return max(map(len, self.ids[example * self.rows : (example + 1) * self.rows]))


def encode(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    metadata: TaskMetadata,
) -> Encoded:
    """Tokenise to at most `length` tokens, special tokens counted.

    A pair is cut from the end of whichever text is longer; of a choice the text is cut and the
    question with its answer is kept whole.

    Raises:
        ValueError: a question with an answer leaves no room for the text, or the examples have
            different numbers of choices.
    """
    rows = max((len(example.choices) for example in examples), default=0) or 1
    family = metadata.family
    if family == "choice" and any(len(example.choices) != rows for example in examples):
        raise ValueError(f"the examples of '{metadata.name}' have different numbers of choices")
    first = [e.text for e in examples for _ in range(rows)]
    second = None
    if family in ("pair", "choice"):
        # A tokenizer without a separator would run the texts into each other.
        gap = "" if tokenizer.sep_token else "\n\n"
        said = [[f"{e.second} {c}".strip() for c in e.choices] or [e.second] for e in examples]
        second = [gap + text for texts in said for text in texts]
    if not first:
        return Encoded([], None, [], [], [], 0, rows)
    if family == "choice":
        _check_room(second or [], tokenizer, length, metadata.name)

    def tokenised(most: int | None) -> Any:
        return tokenizer(
            [text[:most] for text in first],
            [text[:most] for text in second] if second else None,
            truncation="only_first" if family == "choice" else True,
            max_length=length,
            return_offsets_mapping=True,
        )

    # Few texts have more than 32 characters a token: the rest of them need not be tokenised.
    most = 32 * length
    coded = tokenised(most)
    if any(
        len(ids) < length and len(text) > most
        for ids, text in zip(coded["input_ids"], first, strict=True)
    ):
        coded = tokenised(None)
    kept, lost = [], []
    for row, text in enumerate(first):
        other = second[row] if second else ""
        ends = [0, 0]
        for (_, end), part in zip(
            coded["offset_mapping"][row], coded.sequence_ids(row), strict=True
        ):
            if part is not None:
                ends[part] = max(ends[part], end)
        kept.append(text[: ends[0]] + ("\n" + other[: ends[1]] if other else ""))
        full = len(coded["input_ids"][row]) == length
        lost.append(full and bool(text[ends[0] :].strip() or other[ends[1] :].strip()))
    return Encoded(
        ids=coded["input_ids"],
        types=coded.get("token_type_ids") if second else None,
        # Plug-ins may hand on numpy's numbers, which JSON does not know.
        targets=[
            tuple(map(int, e.labels)) if family == "multilabel" else int(e.label) for e in examples
        ],
        names=[str(e.id) for e in examples],
        kept=kept,
        truncated=sum(any(lost[i : i + rows]) for i in range(0, len(lost), rows)),
        rows=rows,
        labels=len(metadata.labels) if family == "multilabel" else 0,
    )


def _check_room(
    second: list[str], tokenizer: PreTrainedTokenizerBase, length: int, task: str
) -> None:
    longest = max(map(len, tokenizer(second)["input_ids"]))
    if longest + 2 > length:
        raise ValueError(
            f"the questions and answers of '{task}' take up to {longest} tokens: {length} leave no "
            f"room for a text"
        )


def padded(
    encoded: Encoded, order: Sequence[int], batch_size: int, pad_id: int
) -> Iterator[tuple[list[int], dict[str, torch.Tensor], int]]:
    """Yield (examples, model inputs, real tokens) batch by batch, padded to the longest row."""
    for start in range(0, len(order), batch_size):
        chosen = list(order[start : start + batch_size])
        places = [i * encoded.rows + k for i in chosen for k in range(encoded.rows)]
        rows = [encoded.ids[place] for place in places]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), pad_id)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if encoded.types is not None:
            inputs["token_type_ids"] = torch.zeros_like(ids)
            for row, place in enumerate(places):
                types = encoded.types[place]
                inputs["token_type_ids"][row, : len(types)] = torch.tensor(types)
        inputs["labels"] = _targets([encoded.targets[i] for i in chosen], encoded.labels)
        yield chosen, inputs, int(mask.sum())


def _targets(targets: Sequence[Target], labels: int) -> torch.Tensor:
    if not labels:
        return torch.tensor(targets)
    marks = torch.zeros(len(targets), labels)
    for row, target in enumerate(targets):
        marks[row, list(target) if isinstance(target, tuple) else target] = 1.0
    return marks


def random_batch(vocabulary: int, batch_size: int, length: int, seed: int) -> dict[str, Any]:
    """Full-length random tokens for a probe: nothing is padded and nothing can be learned."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, vocabulary, (batch_size, length), generator=generator)
    labels = torch.randint(0, 2, (batch_size,), generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
