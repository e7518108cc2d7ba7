"""Time and memory of one cell, in its own process."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Phase = Literal["load", "data", "train", "eval", "probe"]


@dataclass
class Stopwatch:
    """Seconds by phase; phases may be entered many times and do not nest."""

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("load", "data", "train", "eval", "probe"), 0.0)
    )

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Add the time of the block to a phase, also when the block raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


class MemoryMeter:
    """Peak memory of a phase, in bytes.

    On a CPU: the process's resident high-water mark (`VmHWM`), reset between phases; it counts
    the interpreter and its libraries, whose share is what `current` says before the model is
    loaded. On CUDA: the allocator's peak, which counts tensors only. Where neither can be read
    (no Linux), peaks are None.
    """

    def __init__(self, device: str) -> None:
        self._cuda = device == "cuda"

    def reset(self) -> None:
        """Give freed memory back to the system and start a new peak."""
        gc.collect()
        if self._cuda:
            import torch

            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            return
        try:
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
        except (OSError, AttributeError):
            pass

    def peak(self) -> int | None:
        """Peak since the last reset."""
        if self._cuda:
            import torch

            return int(torch.cuda.max_memory_allocated())
        return _status("VmHWM")

    def current(self) -> int | None:
        """What is held now."""
        if self._cuda:
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
    """Tokens per second over many steps: the overall rate and the quartiles of the steps' rates."""

    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, tokens: int, seconds: float) -> None:
        """Add one step."""
        self.tokens.append(tokens)
        self.seconds.append(seconds)

    def overall(self) -> float | None:
        """All tokens over all seconds: for steps of different sizes."""
        return sum(self.tokens) / sum(self.seconds) if self.seconds else None

    def quartiles(self) -> tuple[float, float, float] | None:
        """25 %, 50 % and 75 % quantile of the steps' rates: for steps of one size."""
        if not self.seconds:
            return None
        import numpy as np

        rates = np.array(self.tokens) / np.array(self.seconds)
        low, middle, high = np.quantile(rates, [0.25, 0.5, 0.75])
        return float(low), float(middle), float(high)

    def row(self, prefix: str, steady: bool) -> dict[str, Any]:
        """Result fields: the median where steps have one size (`steady`), else the overall rate."""
        quartiles = self.quartiles()
        if quartiles is None:
            return {}
        low, middle, high = quartiles
        value = middle if steady else self.overall()
        return {prefix: value, f"{prefix}_low": low, f"{prefix}_high": high}


def synchronize(device: str) -> None:
    """Wait for the accelerator, so that a clock read next tells the truth."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
