"""A Ray cluster of two nodes on this machine: one node is killed, runs are cancelled."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.core.folder import read_run
from harness.execution.executors.ray import ADDRESS, default_workers
from tests.harness.conftest import bench_long, results_here, start_bench_long
from tests.harness.execution.test_failures import LONG, wait_for

ray = pytest.importorskip("ray", reason="the package ray is not installed")
pytestmark = pytest.mark.slow

MANY = "seeds=[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]"


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Two nodes with one processor each; `RAY_ADDRESS` names their cluster."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=size)
    found = [cluster.head_node, cluster.add_node(**size)]
    monkeypatch.setenv(ADDRESS, cluster.address)
    try:
        yield found
    finally:
        ray.shutdown()
        cluster.shutdown()


def _tree(node: Any) -> list[psutil.Process]:
    """The processes of a node: its raylet, the workers, and their cells."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [raylet, *raylet.children(recursive=True)]


def _cells(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Processes of cells: those that a fork server has forked."""
    found = []
    for process in processes:
        try:
            if "harness.execution.preload" in " ".join(process.cmdline()):
                found += process.children()
        except psutil.Error:
            continue
    return found


def test_cells_of_a_killed_node_run_elsewhere(tmp_path: Path, tiny: Path, nodes: list[Any]) -> None:
    many = ("--set", MANY, "--no-cost")
    local = tmp_path / "local"
    assert results_here(tiny, "--out", local, *many) == 0
    assert default_workers("cpu") == 2
    out = tmp_path / "ray"
    run = start_bench_long("run", tiny, "--out", out, *many, "--executor", "ray")
    wait_for(lambda: len([*(out / "cells").glob("*.json")]) >= 4 and _cells(_tree(nodes[1])), 240)
    killed = _tree(nodes[1])
    for process in killed:
        process.kill()
    stdout, stderr = run.communicate(timeout=400)
    assert run.returncode == 0, stdout + stderr
    expected, found = read_run(local).results, read_run(out).results
    assert len(expected) >= 20
    assert expected.keys() == found.keys()
    for name, result in expected.items():
        assert found[name].ok
        for part in ("scores", "curve", "predictions", "model"):
            assert getattr(found[name], part) == getattr(result, part), (result.arm, part)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_cancelled_run_ends_its_cells_and_leaves_the_cluster(
    end: int, tmp_path: Path, tiny: Path, nodes: list[Any]
) -> None:
    words = ("--executor", "ray", "--no-cost", "--set", LONG, "--set", "lengths=[256]")
    run = start_bench_long("run", tiny, "--out", tmp_path / "out", *words)

    def running() -> list[psutil.Process]:
        return _cells([process for node in nodes for process in _tree(node)])

    wait_for(lambda: running(), 240)
    cells = running()
    os.killpg(run.pid, end)
    wait_for(lambda: not any(p.is_running() and p.status() != "zombie" for p in cells), 10)
    run.communicate(timeout=60)
    assert all(node.all_processes["raylet"][0].process.poll() is None for node in nodes)


def test_a_cluster_that_does_not_answer_is_named(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, "127.0.0.1:9")
    done = bench_long("run", tiny, "--out", tmp_path / "out", "--executor", "ray")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "--executor ray: Ray cannot be reached at RAY_ADDRESS=127.0.0.1:9: " in line
