"""Which GPUs the processes of cells see. No GPU is needed: names are counted."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from harness.core.result import CellResult
from harness.execution.executor import RESULTS, Job, Settings
from harness.execution.executors.local import LocalExecutor
from harness.execution.forked import see_gpus
from harness.system.lifeline import end_server
from harness.system.resources import default_workers
from tests.harness.planning.test_plan import BASE, NO_BACKBONE


def _look(job: Job, settings: Settings, results: Connection) -> None:
    """Log which GPUs this process sees, and end when the test says so."""
    see_gpus(job)
    seed = job.cells[0].seed
    (job.logs / f"{seed}.gpus").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
    while not (job.logs / f"{seed}.end").exists():
        time.sleep(0.05)
    result = CellResult.begun(job.cells[0])
    result.status = "ok"
    results.send_bytes(RESULTS.dump_json([result]))


def test_a_cell_sees_the_gpu_with_the_fewest_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    end_server()  # that of a test before this one has another environment
    executor = LocalExecutor(Settings(default_workers("cuda"), 60), _look, ["json"])
    assert executor.slots == 2

    def start(seed: int, device: str = "cuda") -> str:
        cell = BASE.model_copy(update={"seed": seed, "device": device})
        executor.submit(Job((cell,), NO_BACKBONE, tmp_path))
        path = tmp_path / f"{seed}.gpus"
        end = time.monotonic() + 60
        while not (path.exists() and path.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        return path.read_text()

    try:
        assert [start(0), start(1)] == ["4", "7"]
        (tmp_path / "1.end").touch()
        while not executor.finished(60):
            pass
        assert start(2) == "7"
        assert start(3, "cpu") == "4,7"
    finally:
        executor.stop()


def test_one_gpu_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    executor = LocalExecutor(Settings(1, 60), _look, ["json"])
    cell = BASE.model_copy(update={"device": "cuda"})
    assert executor.placed(Job((cell,), NO_BACKBONE, tmp_path)).gpus is None
