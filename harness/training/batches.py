"""Examples -> token ids -> padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from harness.training.levers import packed
from harness.training.stored_rows import StateRows, shared_rows
from harness.training.token_rows import TokenRows
from tasks import Example, TaskMetadata
from tasks.contract import fault, shape_fault
from tasks.lib.encoding import Row
from tasks.lib.texts import well_formed
from tasks.types.base import Padded, Target, Window

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CHUNK = 2**17
"""Tokens of the examples that are text and tokens in memory at once (256 examples at most)."""


@dataclass
class Encoded:
    """Examples cut to a length, as models take them.

    Attributes:
        metadata: of the task.
        tokenizer: that made the token ids.
        rows: rows of an example: one, or one for each of its choices, in sequence.
        ids: token ids by row.
        types: segment ids by row, of tokenizers that have them.
        starts: by row, the first token with a loss, where tokens are predicted.
        targets: by example.
        names: by example.
        positions: by example, the share of the text before the evidence, where it is known.
        kept: by row, the text that was kept, so that a baseline sees no more; empty unless it was
            asked for.
        truncated: number of examples of which something was cut.
        states: by row, stored states that batches bring to the model (`harness.training.frozen`).
    """

    metadata: TaskMetadata
    tokenizer: PreTrainedTokenizerBase
    rows: int = 1
    ids: TokenRows = field(default_factory=TokenRows)
    types: TokenRows | None = None
    starts: list[int] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    positions: list[float | None] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    truncated: int = 0
    states: StateRows | None = None

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.names)

    def width(self, example: int) -> int:
        """Return the tokens in an example's longest row."""
        rows = range(example * self.rows, (example + 1) * self.rows)
        return max(self.ids.size(row) for row in rows)

    def add(self, examples: Sequence[Example], rows: Sequence[Row], keep_text: bool) -> None:
        """Add examples and their rows."""
        self.ids.extend(row.ids for row in rows)
        if rows[0].types is not None:
            self.types = self.types or TokenRows()
            self.types.extend(row.types or [] for row in rows)
        self.starts += [row.start for row in rows]
        self.names += [example.id for example in examples]
        self.positions += [example.position for example in examples]
        self.targets += map(self.metadata.task_type.target, examples)
        if keep_text:
            self.kept += [row.kept for row in rows]
        cut = [row.cut for row in rows]
        self.truncated += sum(any(cut[i : i + self.rows]) for i in range(0, len(cut), self.rows))


def encode(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    metadata: TaskMetadata,
    most: int | None = None,
    keep_text: bool = False,
    window: Window | None = None,
) -> Encoded:
    """Tokenise the first `most` examples to at most `length` tokens, special tokens counted.

    Examples are read a few hundred at a time, and token ids are kept on disk. With a window, the
    first `most` texts that reach its end are used, and the `length` tokens before it.

    Raises:
        ValueError: a question with an answer leaves no room for the text, or an example breaks the
            contract (`tasks/contract.py`).
    """
    found = Encoded(metadata, tokenizer)
    for part, rows in encoded_chunks(examples, tokenizer, length, metadata, most, window):
        found.rows = len(rows) // len(part)
        found.add(part, rows, keep_text)
    return found


def encoded_chunks(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    metadata: TaskMetadata,
    most: int | None = None,
    window: Window | None = None,
) -> Iterator[tuple[list[Example], list[Row]]]:
    """Yield examples, a few hundred at a time, with their rows. Arguments as for `encode`.

    Raises:
        ValueError: as `encode`.
    """
    kind = metadata.task_type
    count = len(examples) if most is None else min(most, len(examples))
    if window:
        yield from _windows(examples, tokenizer, length, metadata, count, window)
        return
    chunk = max(1, min(256, _CHUNK // (length * len(kind.others(examples[0]))))) if count else 1
    for start in range(0, count, chunk):
        part = examples[start : min(start + chunk, count)]
        for example in part:
            if wrong := fault(metadata, example):
                raise ValueError(f"an example of the task '{metadata.name}' {wrong}")
        if wrong := shape_fault(metadata, [examples[0], *part]):
            raise ValueError(f"the task '{metadata.name}': {wrong}")
        cleaned = [_well_formed(example) for example in part]
        yield cleaned, shared_rows(cleaned, tokenizer, length, metadata)


def _windows(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    metadata: TaskMetadata,
    most: int,
    window: Window,
) -> Iterator[tuple[list[Example], list[Row]]]:
    """The examples that reach the end of the window, with the `length` tokens before it."""
    kind = metadata.task_type
    for part, rows in encoded_chunks(examples, tokenizer, window.end, metadata):
        if not most:
            return
        pairs = zip(part, rows, strict=True)
        kept = [(example, row) for example, row in pairs if len(row.ids) == window.end][:most]
        most -= len(kept)
        if kept:
            yield (
                [example for example, _ in kept],
                [kind.windowed(row, tokenizer, length, window) for _, row in kept],
            )


def _well_formed(example: Example) -> Example:
    """An example whose texts can be encoded, printed and written to a file."""
    return example._replace(
        id=well_formed(str(example.id)),
        text=well_formed(example.text),
        second=well_formed(example.second),
        choices=tuple(map(well_formed, example.choices)),
        answers=tuple(map(well_formed, example.answers)),
    )


def padded(
    encoded: Encoded, order: Sequence[int], batch_size: int, pad_id: int, packing: bool = False
) -> Iterator[tuple[list[int], dict[str, torch.Tensor], int]]:
    """Yield (examples, model inputs, real tokens) batch by batch, padded to the longest row.

    With `packing`, short texts of a language model share rows.
    """
    kind = encoded.metadata.task_type
    for begin in range(0, len(order), batch_size):
        chosen = list(order[begin : begin + batch_size])
        places = [i * encoded.rows + k for i in chosen for k in range(encoded.rows)]
        inputs = _stacked([encoded.ids[place] for place in places], pad_id)
        tokens = int(inputs["attention_mask"].sum())
        if encoded.types is not None:
            types = [encoded.types[place] for place in places]
            inputs["token_type_ids"] = _stacked(types, 0)["input_ids"]
        if encoded.states is not None:
            inputs["states"] = encoded.states.padded(places, inputs["input_ids"].shape[1])
        starts = [encoded.starts[place] for place in places]
        targets = [encoded.targets[i] for i in chosen]
        batch = Padded(inputs["input_ids"], inputs["attention_mask"], starts, targets)
        inputs["labels"] = kind.batch_labels(batch, encoded.metadata)
        if packing:
            inputs = packed(inputs)
        elif kind.uses_lm_head:
            del inputs["attention_mask"]  # padding is on the right, where a decoder does not look
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


def random_batch(
    vocabulary: int, batch_size: int, length: int, seed: int, writing: bool = False
) -> dict[str, Any]:
    """Full-length random tokens for a probe: nothing is padded and nothing can be learned."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, vocabulary, (batch_size, length), generator=generator)
    labels = torch.randint(0, 2, (batch_size,), generator=generator)
    mask = torch.ones_like(ids)
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.clone() if writing else labels}
