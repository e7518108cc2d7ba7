"""The recurrence of a diagonal linear system over tokens, as a causal convolution."""

from __future__ import annotations

import torch


def scan(u: torch.Tensor, decay: torch.Tensor) -> torch.Tensor:
    """Return h with h_t = exp(-decay) h_{t-1} + u_t and h_{-1} = 0.

    Args:
        u: inputs (rows, tokens, r), float32 or float64.
        decay: (r,), positive.

    Returns:
        The states, of the shape and type of `u`. The time is O(tokens log tokens).
    """
    tokens = u.shape[1]
    # Padding to twice the length keeps the ends of the circular convolution apart.
    size = 1 << (2 * tokens - 1).bit_length()
    time = torch.arange(tokens, device=u.device, dtype=u.dtype)
    kernel = torch.fft.rfft(torch.exp(-decay[:, None] * time), n=size)
    # Each transform reads consecutive memory if time is the last axis.
    inputs = torch.fft.rfft(u.transpose(1, 2).contiguous(), n=size)
    states: torch.Tensor = torch.fft.irfft(inputs * kernel, n=size)[..., :tokens]
    return states.transpose(1, 2)
