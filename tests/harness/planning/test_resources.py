"""Processors and memory that a run may use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.system.resources import available_cores, available_memory, default_workers

GIB = 2**30


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own"
    path.write_text(text)
    return path


MEMORY = {
    "version 2, its own": ("0::/a/b", {"a/b/memory.max": str(3 * GIB)}, 3 * GIB),
    "version 2, one above": (
        "0::/a/b",
        {"a/b/memory.max": "max", "a/memory.max": str(2 * GIB)},
        2 * GIB,
    ),
    "version 2, softer": ("0::/a", {"a/memory.high": str(GIB), "a/memory.max": "max"}, GIB),
    "version 2, in a container": ("0::/", {"memory.max": str(5 * GIB)}, 5 * GIB),
    "a path that is the host's": ("0::/host/x", {"memory.max": str(5 * GIB)}, 5 * GIB),
    "version 1": (
        "4:memory:/a\n3:cpu,cpuacct:/a",
        {"memory/a/memory.limit_in_bytes": str(4 * GIB), "memory/memory.limit_in_bytes": "9" * 18},
        4 * GIB,
    ),
    "version 2 beside version 1": (
        "4:memory:/a\n0::/b",
        {"memory/a/memory.limit_in_bytes": str(4 * GIB), "unified/b/memory.max": str(GIB)},
        GIB,
    ),
    "no limit": ("0::/a", {"a/memory.max": "max"}, None),
    "nothing readable": ("", {}, None),
    "nonsense": ("what\n0::", {"memory.max": "-3"}, None),
}


@pytest.mark.parametrize("case", MEMORY)
def test_memory(case: str, tmp_path: Path) -> None:
    text, files, expected = MEMORY[case]
    found = available_memory(tree(tmp_path / "cgroup", files), own(tmp_path, text))
    assert found == (expected or psutil.virtual_memory().total)


CORES = {
    "version 2": ("0::/a", {"a/cpu.max": "100000 100000"}, 1),
    "one and a half": ("0::/a", {"a/cpu.max": "150000 100000"}, 1),
    "less than one": ("0::/a", {"a/cpu.max": "20000 100000"}, 1),
    "one above": ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 100000"}, 1),
    "version 1": (
        "3:cpu,cpuacct:/a",
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "100000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
        1,
    ),
    "version 1 without a quota": (
        "3:cpu:/a",
        {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"},
        None,
    ),
    "more than there is": ("0::/a", {"a/cpu.max": "99900000 100000"}, None),
}


@pytest.mark.parametrize("case", CORES)
def test_cores(case: str, tmp_path: Path) -> None:
    text, files, expected = CORES[case]
    found = available_cores(tree(tmp_path / "cgroup", files), own(tmp_path, text))
    assert found == (expected or len(os.sched_getaffinity(0)))


def test_affinity_decides_the_number_of_workers() -> None:
    code = "from harness.system.resources import default_workers as w; print(w('cpu'))"
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        ["taskset", "-c", str(core), sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.stdout == "1\n", done.stderr
    assert default_workers("cuda") == 1


def test_memory_decides_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.system.resources.available_cores", lambda: 8)
    for size, workers in ((6 * GIB, 2), (GIB, 1), (1000 * GIB, 8)):
        monkeypatch.setattr("harness.system.resources.available_memory", lambda size=size: size)
        assert default_workers("cpu") == workers
