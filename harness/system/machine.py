"""Describes the machine and the version of the code, for the result of a cell."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from harness.system.resources import available_cores, available_memory

_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_device(asked: str) -> Literal["cpu", "cuda"]:
    """Resolve `auto`. torch is imported only if there is an NVIDIA device file."""
    if asked == "auto":
        if not any(Path("/dev").glob("nvidia[0-9]*")):
            return "cpu"
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda" if asked == "cuda" else "cpu"


def choose_dtype(asked: str, device: str) -> Literal["float32", "bfloat16"]:
    """Resolve `auto`: bfloat16 autocast if the hardware multiplies bfloat16, else float32."""
    if asked != "auto":
        return "bfloat16" if asked == "bfloat16" else "float32"
    fast = device == "cuda" or bool(_BF16_FLAGS & _cpu_flags())
    return "bfloat16" if fast else "float32"


@cache
def describe_machine() -> dict[str, Any]:
    """Return versions, processor, memory and commit. Cached: the commit takes 20 ms.

    `cores` and `memory_gib` are limits of this process; `machine_cores` counts all processors.
    `host` tells machines apart without their names.
    """
    packages = ("torch", "transformers", "peft", "datasets", "scikit-learn", "numpy")
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in packages},
        "platform": platform.platform(),
        "host": hashlib.sha256(platform.node().encode()).hexdigest()[:8],
        "cpu": _cpu_name(),
        "cores": available_cores(),
        "machine_cores": os.cpu_count(),
        "memory_gib": round(available_memory() / 2**30, 1),
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpuinfo(key: str) -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(key):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return ""


def _cpu_flags() -> set[str]:
    return set(_cpuinfo("flags").split())


def _cpu_name() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _commit() -> str | None:
    """Return the commit of this code, with `+changes` if the working tree differs from it.

    $BENCH_LONG_COMMIT comes first: a copy on another machine has no repository, or a new one
    (`carry/run.py`).
    """
    if named := os.environ.get("BENCH_LONG_COMMIT"):
        return named
    here = Path(__file__).parent

    def git(*words: str) -> str:
        call = ["git", "-C", str(here), *words]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
