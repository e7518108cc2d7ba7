"""Running a model's code on fake tensors: shapes and lifetimes are real, numbers do not exist."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from harness.models import chunked_loss
from harness.models.quantised import renew_scales

_aten = torch.ops.aten


class AssumedAnswers(TorchDispatchMode):
    """Answers questions about numbers that fake tensors do not have.

    Model code asks whether no token is padded and whether a short loss is the same in chunks, and
    the chunked loss takes the tokens that have a label. In a probe each answer is yes, for every
    token.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer, or run the operator."""
        if func is _aten._local_scalar_dense.default:
            kind = args[0].dtype
            return True if kind == torch.bool else 1.0 if kind.is_floating_point else 1
        if func is _aten.index.Tensor and _is_mask(args[1]):
            return args[0].flatten(0, args[1][0].ndim - 1).clone()
        return func(*args, **(kwargs or {}))


def _is_mask(indices: Any) -> bool:
    return len(indices) == 1 and indices[0] is not None and indices[0].dtype == torch.bool


@contextmanager
def fake_tensors() -> Iterator[None]:
    """Within the block every new tensor is fake, and takes no memory."""
    with (
        FakeTensorMode(allow_non_fake_inputs=True),  # some adapters keep tensors outside of buffers
        AssumedAnswers(),
        # transformers builds attention masks for fake tensors that it leaves out for real ones.
        patch("transformers.masking_utils.is_tracing", lambda *_: False),
    ):
        yield


@contextmanager
def few_chunks() -> Iterator[None]:
    """Within the block the chunked loss has three chunks at most: all but the last are alike."""

    chunks, size = chunked_loss.chunks, chunked_loss.CHUNK

    def three(states: Any, ids: Any) -> list[Any]:
        if len(ids) <= 3 * size:
            return chunks(states, ids)
        last = (len(ids) - 1) // size * size  # without a view for each of thousands of chunks
        return [(n, states[n : n + size], ids[n : n + size]) for n in (0, size, last)]

    with patch.object(chunked_loss, "chunks", three):
        yield


def replace_tensors(model: nn.Module, device: str) -> None:
    """Replace the parameters and buffers of a model by empty ones on a device; ties are kept.

    PEFT keeps the numbers of virtual tokens in a dictionary.
    """
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, old in tensors.items():
                if old is None:
                    continue
                if id(old) not in made:
                    new = torch.empty(old.shape, dtype=old.dtype, device=device)
                    is_parameter = isinstance(old, nn.Parameter)
                    made[id(old)] = nn.Parameter(new, old.requires_grad) if is_parameter else new
                tensors[name] = made[id(old)]  # type: ignore[assignment]
        renew_scales(module)
        numbers: dict[str, torch.Tensor] = vars(module).get("prompt_tokens", {})
        numbers.update({name: torch.empty_like(old) for name, old in numbers.items()})
