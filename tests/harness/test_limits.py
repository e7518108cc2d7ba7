"""Affinity and control groups: trees as the kernel shows them, and a real affinity."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from harness.limits import available_cores, available_memory
from tests.harness.conftest import bench_long, cells

GIB = 2**30


def tree(folder: Path, cgroup: str, mounts: list[str], files: dict[str, str]) -> Path:
    """A /proc/self and the groups it speaks of; `@` stands for the folder of the groups."""
    proc, groups = folder / "proc", folder / "gr oups"
    proc.mkdir()
    (proc / "cgroup").write_text(cgroup)
    place = str(groups).replace(" ", "\\040")
    (proc / "mountinfo").write_text("".join(m.replace("@", place) + "\n" for m in mounts))
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text + "\n")
    return proc


V2 = ["30 23 0:26 / @ rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"]
V1 = [
    "32 31 0:29 / @/cpu rw - cgroup cgroup rw,cpu,cpuacct",
    "35 31 0:32 / @/memory rw - cgroup cgroup rw,memory",
    "41 31 0:38 / @/unified rw - cgroup2 cgroup2 rw",
]
V1_IN_A_CONTAINER = ["35 31 0:32 /docker/abc @/memory ro - cgroup cgroup rw,memory"]
NO_LIMIT = str(2**63 - 4096)

TREES = {
    "version 2": ("0::/a/b\n", V2, {"a/b/memory.max": str(GIB)}, GIB),
    "a group above": (
        "0::/a/b/c\n",
        V2,
        {"a/memory.max": str(GIB), "a/b/memory.max": str(2 * GIB), "a/b/c/memory.max": "max"},
        GIB,
    ),
    "throttled": ("0::/a\n", V2, {"a/memory.max": str(2 * GIB), "a/memory.high": str(GIB)}, GIB),
    "the root of a namespace": ("0::/\n", V2, {"memory.max": str(GIB)}, GIB),
    "no limit": ("0::/a\n", V2, {"a/memory.max": "max"}, None),
    "version 1": (
        "5:memory:/x/y\n1:cpu,cpuacct:/z\n0::/\n",
        V1,
        {"memory/x/memory.limit_in_bytes": str(GIB), "memory/x/y/memory.limit_in_bytes": NO_LIMIT},
        GIB,
    ),
    "version 1 in a container": (
        "5:memory:/docker/abc\n",
        V1_IN_A_CONTAINER,
        {"memory/memory.limit_in_bytes": str(GIB)},
        GIB,
    ),
    "outside the mount": (
        "5:memory:/elsewhere\n",
        V1_IN_A_CONTAINER,
        {"memory/memory.limit_in_bytes": str(GIB)},
        GIB,
    ),
    "above the namespace": ("0::/../x\n", V2, {"memory.max": str(GIB)}, GIB),
    "nothing mounted": ("5:memory:/x\n", [], {}, None),
    "rubbish": ("rubbish\n", ["rubbish", *V2], {"memory.max": "many"}, None),
}


@pytest.mark.parametrize("case", TREES)
def test_memory(case: str, tmp_path: Path) -> None:
    cgroup, mounts, files, expected = TREES[case]
    found = available_memory(tree(tmp_path, cgroup, mounts, files))
    assert found == (expected or psutil.virtual_memory().total)


def test_no_proc_at_all(tmp_path: Path) -> None:
    assert available_memory(tmp_path) == psutil.virtual_memory().total
    assert available_cores(tmp_path) >= 1


QUOTAS = {
    "version 2": ("0::/a\n", V2, {"a/cpu.max": "200000 100000"}, 2),
    "one and a half": ("0::/a\n", V2, {"a/cpu.max": "150000 100000"}, 1),
    "less than one": ("0::/a\n", V2, {"a/cpu.max": "20000 100000"}, 1),
    "a group above": ("0::/a/b\n", V2, {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 9"}, 1),
    "no limit": ("0::/a\n", V2, {"a/cpu.max": "max 100000"}, 64),
    "version 1": (
        "1:cpu,cpuacct:/z\n",
        V1,
        {"cpu/z/cpu.cfs_quota_us": "300000", "cpu/z/cpu.cfs_period_us": "100000"},
        3,
    ),
    "version 1, no limit": (
        "1:cpu,cpuacct:/z\n",
        V1,
        {"cpu/z/cpu.cfs_quota_us": "-1", "cpu/z/cpu.cfs_period_us": "100000"},
        64,
    ),
}


@pytest.mark.parametrize("case", QUOTAS)
def test_cores(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroup, mounts, files, expected = QUOTAS[case]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert available_cores(tree(tmp_path, cgroup, mounts, files)) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_run_that_is_bound_to_one_core(tmp_path: Path, tiny: Path) -> None:
    """The number of workers and the recorded machine; `cores` still counts the machine's."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # inherited by what is started
    try:
        done = bench_long("run", tiny, "--out", tmp_path / "out")
    finally:
        os.sched_setaffinity(0, before)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["workers"] == 1
    for result in cells(tmp_path / "out").values():
        assert result["environment"]["cores_available"] == 1
        assert result["environment"]["cores"] == os.cpu_count()
        assert result["environment"]["memory_available_gib"] > 0
