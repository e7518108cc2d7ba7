"""Examples -> token ids -> padded batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from harness.training.rows import Row, Rower, cleaned, end_of_text, row_maker
from harness.training.token_rows import TokenRows
from tasks import WRITING, Example, TaskMetadata
from tasks.contract import fault

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Target = int | tuple[int, ...] | str | tuple[str, ...] | None
"""A label, the number of the right choice, the labels that apply (multilabel), a text or the texts
that are right (generation). None where text is only read (language modelling)."""

IGNORED = -100
"""A token that no loss is taken on, as transformers and torch have it."""

_CHUNK = 2**17
"""Tokens of the examples that are text and tokens in memory at once (256 examples at most)."""


@dataclass
class Encoded:
    """Examples cut to a length, as models take them.

    Attributes:
        ids: token ids by row; an example has `rows` of them, one after the other: one row, or one
            for each of its choices.
        types: segment numbers of the same form, for tokenizers that tell two texts apart.
        starts: by row, the first token that is learned: 0, or where an answer begins.
        targets: what is right, by example.
        names: by example.
        kept: the text that was kept, by row, so that a baseline on words sees no more; empty
            unless it was asked for.
        truncated: examples that lost something.
        labels: size of a multilabel target, else 0.
        writing: whether tokens are learned, and no label.
        decode: token ids to text.
        end: the token that closes an answer (generation).
    """

    decode: Callable[[list[int]], str]
    rows: int = 1
    labels: int = 0
    writing: bool = False
    ids: TokenRows = field(default_factory=TokenRows)
    types: TokenRows | None = None
    starts: list[int] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    truncated: int = 0
    end: int | None = None

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.names)

    def width(self, example: int) -> int:
        """Tokens in an example's longest row."""
        rows = range(example * self.rows, (example + 1) * self.rows)
        return max(self.ids.size(row) for row in rows)


def encode(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    metadata: TaskMetadata,
    most: int | None = None,
    keep_text: bool = False,
) -> Encoded:
    """Tokenise the first `most` examples to at most `length` tokens, special tokens counted.

    A pair is cut from the end of whichever text is longer; of a choice or a question the text is
    cut and the rest kept whole. Examples are read a few hundred at a time and go to disk.

    Raises:
        ValueError: a question with an answer leaves no room for the text, the examples have
            different numbers of choices, or one breaks the contract (`tasks/contract.py`).
    """
    count = len(examples) if most is None else min(most, len(examples))
    family = metadata.family
    rows = len(examples[0].choices) or 1 if count else 1
    found = Encoded(
        decode=lambda ids: str(tokenizer.decode(ids, skip_special_tokens=True)),
        rows=rows,
        labels=len(metadata.labels) if family == "multilabel" else 0,
        writing=family in WRITING,
        end=end_of_text(tokenizer) if family == "generation" else None,
    )
    make = row_maker(tokenizer, length, metadata)
    chunk = max(1, min(256, _CHUNK // (length * rows)))
    for start in range(0, count, chunk):
        _add(found, examples[start : min(start + chunk, count)], make, metadata, keep_text)
    return found


def _add(
    found: Encoded,
    examples: Sequence[Example],
    make: Rower,
    metadata: TaskMetadata,
    keep_text: bool,
) -> None:
    for example in examples:
        if wrong := fault(metadata, example):
            raise ValueError(f"an example of the task '{metadata.name}' {wrong}")
    many = metadata.family == "choice"
    if many and any(len(example.choices) != found.rows for example in examples):
        raise ValueError(f"the examples of '{metadata.name}' have different numbers of choices")
    examples = [cleaned(example) for example in examples]
    rows: list[Row] = make(examples)
    found.ids.extend(row.ids for row in rows)
    if rows[0].types is not None:
        found.types = found.types or TokenRows()
        found.types.extend(row.types or [] for row in rows)
    found.starts += [row.start for row in rows]
    found.names += [str(example.id) for example in examples]
    found.targets += [_target(example, metadata) for example in examples]
    if keep_text:
        found.kept += [row.kept for row in rows]
    lost = [row.lost for row in rows]
    found.truncated += sum(any(lost[i : i + found.rows]) for i in range(0, len(lost), found.rows))


def _target(example: Example, metadata: TaskMetadata) -> Target:
    # Plug-ins may hand on numpy's numbers, which JSON does not know.
    if metadata.family == "multilabel":
        return tuple(map(int, example.labels))
    if metadata.family == "generation":
        return tuple(map(str, example.answers))
    return None if metadata.family == "language_modelling" else int(example.label)


def padded(
    encoded: Encoded, order: Sequence[int], batch_size: int, pad_id: int
) -> Iterator[tuple[list[int], dict[str, torch.Tensor], int]]:
    """Yield (examples, model inputs, real tokens) batch by batch, padded to the longest row."""
    for begin in range(0, len(order), batch_size):
        chosen = list(order[begin : begin + batch_size])
        places = [i * encoded.rows + k for i in chosen for k in range(encoded.rows)]
        inputs = _stacked([encoded.ids[place] for place in places], pad_id)
        tokens = int(inputs["attention_mask"].sum())
        if encoded.types is not None:
            types = [encoded.types[place] for place in places]
            inputs["token_type_ids"] = _stacked(types, 0)["input_ids"]
        if encoded.writing:
            inputs["labels"] = _learned(inputs, [encoded.starts[place] for place in places])
            del inputs["attention_mask"]  # padding is on the right, where a decoder does not look
        else:
            inputs["labels"] = _targets([encoded.targets[i] for i in chosen], encoded.labels)
        yield chosen, inputs, tokens


def prompts(encoded: Encoded, chosen: Sequence[int], pad_id: int) -> dict[str, torch.Tensor]:
    """What stands before the answers, padded on the left, as generation wants it."""
    return _stacked([encoded.ids[i][: encoded.starts[i]] for i in chosen], pad_id, left=True)


def _stacked(rows: Sequence[list[int]], pad_id: int, left: bool = False) -> dict[str, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad_id)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for row, tokens in enumerate(rows):
        place = slice(width - len(tokens), width) if left else slice(len(tokens))
        ids[row, place] = torch.tensor(tokens)
        mask[row, place] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _learned(inputs: dict[str, torch.Tensor], starts: Sequence[int]) -> torch.Tensor:
    before = torch.arange(inputs["input_ids"].shape[1]) < torch.tensor(starts)[:, None]
    return inputs["input_ids"].masked_fill(before | (inputs["attention_mask"] == 0), IGNORED)


def _targets(targets: Sequence[Target], labels: int) -> torch.Tensor:
    if not labels:
        return torch.tensor(targets)
    marks = torch.zeros(len(targets), labels)
    for row, target in enumerate(targets):
        marks[row, list(target) if isinstance(target, tuple) else [target]] = 1.0
    return marks


def random_batch(
    vocabulary: int, batch_size: int, length: int, seed: int, writing: bool = False
) -> dict[str, Any]:
    """Full-length random tokens for a probe: nothing is padded and nothing can be learned."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, vocabulary, (batch_size, length), generator=generator)
    labels = torch.randint(0, 2, (batch_size,), generator=generator)
    mask = torch.ones_like(ids)
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.clone() if writing else labels}
