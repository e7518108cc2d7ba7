"""Learned position embeddings: extended for known architectures, else checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TABLES = {"wpe", "embed_positions", "position_embeddings"}
"""Names of position tables that are not extended."""


def extend_positions(encoder: PreTrainedModel, length: int, spare: int = 0) -> None:
    """Repeat a learned position table until it has `length` rows; rotary models need none.

    The repeated rows were not trained at these positions, so scores beyond the original table
    depend on what fine-tuning learns.

    Raises:
        ValueError: a learned table is too short, and its architecture is not known here.
    """
    import torch

    embeddings = getattr(encoder, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if not isinstance(table, torch.nn.Embedding):
        return check_positions(encoder, length)
    shift, first = _first_rows(embeddings, table)
    known = table.num_embeddings - first
    # BigBird pads a text to whole blocks, and the padding has positions too.
    length += spare + (getattr(encoder.config, "block_size", None) or 0)
    if known >= length:
        return
    rows = torch.cat([torch.arange(first), first + torch.arange(length) % known])
    longer = torch.nn.Embedding(len(rows), table.embedding_dim, table.padding_idx)
    longer.weight = torch.nn.Parameter(table.weight.detach()[rows].clone())
    assert embeddings is not None
    embeddings.position_embeddings = longer
    device = table.weight.device
    numbers = torch.arange(shift, len(rows), device=device)[None]
    embeddings.register_buffer("position_ids", numbers, persistent=False)
    if hasattr(embeddings, "token_type_ids"):
        zeros = torch.zeros(1, len(rows), dtype=torch.long, device=device)
        embeddings.register_buffer("token_type_ids", zeros, persistent=False)
    encoder.config.max_position_embeddings = len(rows)


def _first_rows(embeddings: Any, table: Any) -> tuple[int, int]:
    """The number of the first position, and the first row of a table that belongs to a position.

    RoBERTa counts positions from the row after the padding row. Nyströmformer's positions, in a
    buffer, begin at 2.
    """
    numbers = getattr(embeddings, "position_ids", None)
    shift = 0 if numbers is None or numbers.is_meta else int(numbers[0, 0])
    return shift, max(shift, 0 if table.padding_idx is None else table.padding_idx + 1)


def positions_of(encoder: PreTrainedModel) -> tuple[int | None, bool]:
    """Return how many positions a model was made for, and whether they are a table to extend."""
    import torch

    embeddings = getattr(encoder, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if isinstance(table, torch.nn.Embedding):
        return table.num_embeddings - _first_rows(embeddings, table)[1], True
    return getattr(encoder.config, "max_position_embeddings", None), False


def check_positions(encoder: PreTrainedModel, length: int) -> None:
    """Check that position tables have `length` rows.

    Raises:
        ValueError: a table has fewer.
    """
    from itertools import chain

    from torch import nn

    kind = encoder.config.model_type
    # MPT has no table: each forward pass makes biases for this many positions.
    made = getattr(encoder.config, "max_seq_len", None)
    if made is not None and made < length:
        raise ValueError(f"{kind} has {made} positions, but length {length} was requested")
    modules, buffers = encoder.named_modules(), encoder.named_buffers()
    for name, table in chain(modules, buffers):
        if name.split(".")[-1] not in _TABLES:
            continue
        if isinstance(table, nn.Embedding):  # the first two rows of OPT are not positions
            known = table.num_embeddings - int(getattr(table, "offset", 0))
        elif isinstance(table, nn.Module):
            continue
        else:
            known = table.shape[0]
        if known < length:
            raise ValueError(f"{kind} has {known} positions, but length {length} was requested")
