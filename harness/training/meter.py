"""Measuring the time, throughput and memory of one cell, in the process of that cell."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Phase = Literal["load", "data", "train", "eval", "probe"]

_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass
class Stopwatch:
    """Seconds by phase. A phase can be entered repeatedly; phases must not be nested.

    `earlier`: seconds of processes that did a part of the same work before.
    """

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("load", "data", "train", "eval", "probe"), 0.0)
    )
    earlier: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @property
    def wall(self) -> float:
        """Seconds since the start, with those of earlier processes."""
        return self.earlier + time.perf_counter() - self.started

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Add the duration of the block to a phase, even if the block raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


def return_memory() -> None:
    """Return the freed memory of this process to the system, where the C library can."""
    with suppress(OSError, AttributeError):  # a C library other than glibc
        ctypes.CDLL(None).malloc_trim(0)


class MemoryMeter:
    """Peak memory of a phase, in bytes.

    On a CPU: the peak resident set size of the process (`VmHWM`), which is reset between phases. It
    includes the interpreter and its libraries; `base` is their share if the meter is made before
    the model is loaded. On CUDA: the peak of PyTorch's allocator, which
    has tensors and workspaces of kernels, not the context of the device.

    Attributes:
        device: `cpu` or `cuda`.
        base: memory in use when the meter was made.
        note: why a peak is not known; empty if all are.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.base = self.current()
        self.note = ""
        self._resets = False

    def reset(self) -> None:
        """Return freed memory to the system and start a new peak."""
        gc.collect()
        if self.device == "cuda":
            import torch

            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            return
        return_memory()
        try:
            _CLEAR_REFS.write_text("5")
            self._resets = True
        except OSError as error:
            self._resets = False
            self.note = (
                f"no resident peaks: {_CLEAR_REFS}, which resets them, cannot be written "
                f"({error.strerror})"
            )

    def peak(self) -> int | None:
        """Return the peak since the last reset; None if it was refused."""
        if self.device == "cuda":
            import torch

            return int(torch.cuda.max_memory_allocated())
        return _status("VmHWM") if self._resets else None

    def current(self) -> int | None:
        """Return the memory in use now, in bytes."""
        if self.device == "cuda":
            import torch

            return int(torch.cuda.memory_allocated())
        return _status("VmRSS")


def _status(key: str) -> int | None:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


@dataclass
class Rate:
    """Tokens per second: the overall rate and the quartiles over steps."""

    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, tokens: int, seconds: float) -> None:
        """Add one step."""
        self.tokens.append(tokens)
        self.seconds.append(seconds)

    def overall(self) -> float | None:
        """Return all tokens divided by all seconds (for steps of different sizes)."""
        return sum(self.tokens) / sum(self.seconds) if self.seconds else None

    def quartiles(self) -> tuple[float, float, float] | None:
        """Return the 25 %, 50 % and 75 % quantiles over steps (for steps of equal size)."""
        if not self.seconds:
            return None
        import numpy as np

        rates = np.array(self.tokens) / np.array(self.seconds)
        low, middle, high = np.quantile(rates, [0.25, 0.5, 0.75])
        return float(low), float(middle), float(high)

    def row(self, prefix: str, steady: bool) -> dict[str, Any]:
        """Return result fields: the rate and its quartiles over steps.

        The rate is the median over steps if all steps have the same size (`steady`), otherwise the
        overall rate.
        """
        quartiles = self.quartiles()
        if quartiles is None:
            return {}
        low, middle, high = quartiles
        value = middle if steady else self.overall()
        return {prefix: value, f"{prefix}_low": low, f"{prefix}_high": high}


def synchronize(device: str) -> None:
    """Wait for the accelerator to finish, so that times include its work."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
