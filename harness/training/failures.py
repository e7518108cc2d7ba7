"""The status of a failure inside a cell."""

from __future__ import annotations

import torch

from harness.core.result import Status
from harness.training.evaluate import Diverged

_ALLOCATORS = (
    "can't allocate memory",
    "Cannot allocate memory",
    "std::bad_alloc",
    "can't start new thread",  # without memory for its stack
    "error return without exception set",  # Python, without memory for the exception itself
    "CUDA error: out of memory",  # a CUDA context
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""What C libraries say when an allocation fails; they have no exception class for it."""


def status_of(error: BaseException) -> Status:
    """Return `diverged`, `oom` or `error`."""
    if isinstance(error, Diverged):
        return "diverged"
    inner: BaseException | None = error
    while inner is not None:  # a library may have turned it into an error of its own
        out_of_memory = isinstance(inner, MemoryError | torch.OutOfMemoryError)
        if out_of_memory or any(words in str(inner) for words in _ALLOCATORS):
            return "oom"
        inner = inner.__cause__ or inner.__context__
    return "error"
