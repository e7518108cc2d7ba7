"""The recurrence of a diagonal linear system over tokens, computed for all tokens at once."""

from __future__ import annotations

import torch
from torch.nn.functional import pad

CHUNK = 128
"""Tokens whose states are one product with a triangular matrix."""


def scan(u: torch.Tensor, decay: torch.Tensor) -> torch.Tensor:
    """Return h with h_t = exp(-decay) h_{t-1} + u_t and h_{-1} = 0.

    The states within a chunk are a matrix product. The state at the end of each chunk is the same
    recurrence over chunks. A convolution by FFT has the same result, but its rounding errors scale
    with the largest input, also with a later one.

    Args:
        u: inputs (rows, tokens, r), float32 or float64.
        decay: (r,), positive.

    Returns:
        The states, of the shape and type of `u`. The time is linear in the number of tokens.
    """
    rows, tokens, width = u.shape
    size = min(tokens, CHUNK)
    time = torch.arange(size, device=u.device, dtype=u.dtype)
    since = (time[:, None] - time).clamp(min=0)
    kernel = torch.exp(-decay[:, None, None] * since).tril()
    if tokens <= CHUNK:
        return torch.einsum("rts,bsr->btr", kernel, u)
    chunks = pad(u, (0, 0, 0, -tokens % size)).reshape(rows, -(-tokens // size), size, width)
    within = torch.einsum("rts,bcsr->bctr", kernel, chunks)
    ends = scan(within[:, :-1, -1], decay * size)
    before = pad(ends, (0, 0, 1, 0))  # the state before each chunk
    states = within + torch.exp(-decay * (time[:, None] + 1)) * before[:, :, None]
    return states.flatten(1, 2)[:, :tokens]
