"""Learned position tables: extended where that is known to be right, else checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TABLES = {"wpe", "embed_positions", "position_embeddings"}
"""What position tables are called where they are not those that can be extended."""


def extend_positions(encoder: PreTrainedModel, length: int, spare: int = 0) -> None:
    """Repeat a learned position table until it covers `length` tokens (rotary models need nothing).

    The repeated rows were never trained at those places: they serve for cost, and accuracy beyond
    the original table is the method's to earn.

    Raises:
        ValueError: a learned table that is too short, of an architecture that is not known here.
    """
    import torch

    embeddings = getattr(encoder, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if not isinstance(table, torch.nn.Embedding):
        return check_positions(encoder, length)
    # RoBERTa counts positions from the row after its padding's; Nyströmformer's numbers, which it
    # keeps in a buffer, begin at 2.
    numbers = getattr(embeddings, "position_ids", None)
    shift = 0 if numbers is None or numbers.is_meta else int(numbers[0, 0])
    first = max(shift, 0 if table.padding_idx is None else table.padding_idx + 1)
    known = table.num_embeddings - first
    # BigBird pads a text to whole blocks, and gives the padding positions as well.
    length += spare + (getattr(encoder.config, "block_size", None) or 0)
    if known >= length:
        return
    rows = torch.cat([torch.arange(first), first + torch.arange(length) % known])
    longer = torch.nn.Embedding(len(rows), table.embedding_dim, table.padding_idx)
    longer.weight = torch.nn.Parameter(table.weight.detach()[rows].clone())
    assert embeddings is not None
    embeddings.position_embeddings = longer
    numbers = torch.arange(shift, len(rows))[None]
    embeddings.register_buffer("position_ids", numbers, persistent=False)
    if hasattr(embeddings, "token_type_ids"):
        zeros = torch.zeros(1, len(rows), dtype=torch.long)
        embeddings.register_buffer("token_type_ids", zeros, persistent=False)
    encoder.config.max_position_embeddings = len(rows)


def check_positions(encoder: PreTrainedModel, length: int) -> None:
    """Check that a position table has room for `length` tokens.

    Raises:
        ValueError: it has not.
    """
    from itertools import chain

    from torch import nn

    kind = encoder.config.model_type
    # MPT keeps no table: it makes its biases for this many positions in every forward pass.
    made = getattr(encoder.config, "max_seq_len", None)
    if made is not None and made < length:
        raise ValueError(f"{kind} knows {made} positions, and {length} tokens are asked for")
    modules, buffers = encoder.named_modules(), encoder.named_buffers()
    for name, table in chain(modules, buffers):
        if name.split(".")[-1] not in _TABLES:
            continue
        if isinstance(table, nn.Embedding):  # OPT's first two rows are no positions
            known = table.num_embeddings - int(getattr(table, "offset", 0))
        elif isinstance(table, nn.Module):
            continue
        else:
            known = table.shape[0]
        if known < length:
            raise ValueError(f"{kind} knows {known} positions, and {length} tokens are asked for")
