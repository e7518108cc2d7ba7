"""Processors and memory that a run may use, within the limits of its container."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def default_workers(device: str) -> int:
    """Cells at a time: one per core with 2.5 GiB of memory each, or one per GPU."""
    if device == "cuda":
        return max(1, len(visible_gpus()))
    return max(1, min(available_cores(), int(available_memory() / 2.5 / 2**30)))


def available_cores(root: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Return how many processors the affinity and the cgroups of this process allow.

    A quota of 1.5 processors counts as 1; the result is at least 1. `root` is the folder where
    cgroups are mounted, `own` the file that names those of this process.
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quotas = [cores]
    for folder in _groups(root, own, "cpu"):
        quota, period = _quota(folder)
        if quota > 0 and period > 0:
            quotas.append(math.floor(quota / period))
    return max(1, min(quotas))


def available_memory(root: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Return the bytes of memory of this machine, or fewer if a cgroup sets a limit."""
    import psutil

    sizes = [int(psutil.virtual_memory().total)]
    for folder in _groups(root, own, "memory"):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            words = _words(folder / name)
            if len(words) == 1 and words[0].isdigit():
                sizes.append(int(words[0]))
    return min(size for size in sizes if size > 0)


def visible_gpus() -> list[str]:
    """Return the GPUs of this process, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def gpu_memory() -> int:
    """Return the bytes of memory of the GPU."""
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory)


def oom_kills() -> int:
    """Return how many processes this system has killed for lack of memory (0 if unknown)."""
    for line in _lines(Path("/proc/vmstat")):
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def _groups(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroups (versions 1 and 2), from its own to the root."""
    for line in _lines(own):
        _, controllers, name = line.split(":", 2) if line.count(":") >= 2 else ("", "", "/")
        if controllers and controller not in controllers.split(","):
            continue  # another hierarchy of version 1
        # Version 2 beside version 1 is mounted as `unified`.
        top = root / (controllers or "unified")
        if not top.is_dir():
            top = root / controller if controllers else root
        place = top / name.strip("/")
        # In a container the path may be that of the host and missing here: then the root is ours.
        yield from (folder for folder in (place, *place.parents) if folder.is_relative_to(top))


def _quota(folder: Path) -> tuple[float, float]:
    """Return the microseconds of processor time per period, and the period; (0, 0) for no limit."""
    words = _words(folder / "cpu.max") or [
        *_words(folder / "cpu.cfs_quota_us"),
        *_words(folder / "cpu.cfs_period_us"),
    ]
    if len(words) == 2 and all(word.isdigit() for word in words):
        return float(words[0]), float(words[1])
    return 0.0, 0.0


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
