"""How many cores and how much memory this process may use: affinity and control groups.

Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst;
Documentation/scheduler/sched-bwc.rst for the quota of version 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_PROC = Path("/proc/self")


def available_cores(proc: Path = _PROC) -> int:
    """Cores that this process may run on, at least 1: its affinity, and its groups' CPU quota.

    A quota is rounded to whole cores, down: 1.5 cores are one worker's.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # no Linux
        cores = os.cpu_count() or 1
    return max(1, min([cores, *(int(quota) for quota in _quotas(proc))]))


def available_memory(proc: Path = _PROC) -> int:
    """Bytes of memory that this process may use: the machine's, or its groups' least limit."""
    import psutil

    return min([int(psutil.virtual_memory().total), *_memory_limits(proc)])


def _memory_limits(proc: Path) -> Iterator[int]:
    for folder in _groups(proc, "memory"):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            for word in _words(folder / name)[:1]:
                if word.isdigit():  # not `max`
                    yield int(word)


def _quotas(proc: Path) -> Iterator[float]:
    """Cores that a group's quota is worth."""
    for folder in _groups(proc, "cpu"):
        pair = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        if len(pair) == 2 and all(word.isdigit() for word in pair) and int(pair[1]):
            yield int(pair[0]) / int(pair[1])  # neither `max` nor -1


def _groups(proc: Path, controller: str) -> Iterator[Path]:
    """Folders of the groups that this process is in, and of all above: each may set a limit."""
    paths = dict(_memberships(proc))
    for names, root, mount in _mounts(proc):
        key = "" if names is None else controller
        if key not in paths or (names is not None and controller not in names):
            continue
        path = PurePosixPath(paths[key])
        # In a container the path may not lie below the mount, or begin with `/..`.
        below = path.is_relative_to(root) and ".." not in path.parts
        inside = path.relative_to(root) if below else PurePosixPath()
        for part in [inside, *inside.parents]:
            yield mount / part


def _memberships(proc: Path) -> Iterator[tuple[str, str]]:
    """Controller -> path of the group; the controller of version 2 is called ``."""
    for line in _lines(proc / "cgroup"):
        fields = line.split(":", 2)
        if len(fields) == 3:
            for controller in fields[1].split(","):
                yield controller, fields[2].removesuffix(" (deleted)")


def _mounts(proc: Path) -> Iterator[tuple[set[str] | None, str, Path]]:
    """Controllers (None: version 2), root within the hierarchy, and place of each mount."""
    for line in _lines(proc / "mountinfo"):
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        root, place = (_unescaped(field) for field in fields[3:5])
        yield None if kind[0] == "cgroup2" else set(kind[2].split(",")), root, Path(place)


def _unescaped(field: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, sign)
    return field


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
