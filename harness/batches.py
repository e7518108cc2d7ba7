"""Texts -> token ids -> padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tasks import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Encoded:
    """Examples cut to a length: ids and labels as models take them, and the text that was kept."""

    ids: list[list[int]]
    labels: list[int]
    names: list[str]
    kept: list[str]
    truncated: int


def encode(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, length: int) -> Encoded:
    """Tokenise to at most `length` tokens, special tokens counted.

    `kept` holds what the model sees of each text, so that a baseline on words sees no more.
    """
    texts = [example.text for example in examples]
    if not texts:
        return Encoded([], [], [], [], 0)
    # No word piece is longer than a few dozen characters on average text, and none is shorter
    # than one: cutting here only spares the tokenizer text that is certain to be cut anyway.
    rough = [text[: length * 32] for text in texts]
    coded = tokenizer(rough, truncation=True, max_length=length, return_offsets_mapping=True)
    ends = [max((end for _, end in offsets), default=0) for offsets in coded["offset_mapping"]]
    return Encoded(
        ids=coded["input_ids"],
        labels=[example.label for example in examples],
        names=[example.id for example in examples],
        kept=[text[:end] for text, end in zip(texts, ends, strict=True)],
        truncated=sum(bool(t[e:].strip()) for t, e in zip(texts, ends, strict=True)),
    )


def padded(
    encoded: Encoded, order: Sequence[int], batch_size: int, pad_id: int
) -> Iterator[tuple[list[int], dict[str, torch.Tensor], int]]:
    """Yield (indices, model inputs, real tokens) batch by batch, padded to each batch's longest."""
    for start in range(0, len(order), batch_size):
        chosen = list(order[start : start + batch_size])
        rows = [encoded.ids[i] for i in chosen]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), pad_id)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        inputs = {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": torch.tensor([encoded.labels[i] for i in chosen]),
        }
        yield chosen, inputs, int(mask.sum())


def random_batch(vocabulary: int, batch_size: int, length: int, seed: int) -> dict[str, Any]:
    """Full-length random tokens for a probe: nothing is padded and nothing can be learned."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, vocabulary, (batch_size, length), generator=generator)
    labels = torch.randint(0, 2, (batch_size,), generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
