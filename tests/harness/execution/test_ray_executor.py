"""Ray as the place where cells run. Needs ray: `pip install -e '.[ray]'`."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from harness.core.folder import read_run
from harness.core.result import CellResult
from harness.execution.executor import RESULTS, Job, Settings
from harness.execution.executors.ray import Answer, RayExecutor, run_job
from tests.harness.conftest import SWEEPS, bench_long, start_bench_long
from tests.harness.execution.test_failures import LONG, TOO_LARGE, wait_for
from tests.harness.planning.test_plan import BASE, NO_BACKBONE

ray = pytest.importorskip("ray", reason="the package ray is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smoke_on_ray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ray"
    done = bench_long("run", SWEEPS / "smoke.yaml", "--out", folder, "--executor", "ray")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_smoke_sweep_has_the_same_outcomes_as_on_local_processes(
    smoke: Path, smoke_on_ray: Path
) -> None:
    local, on_ray = (read_run(folder).results for folder in (smoke, smoke_on_ray))
    assert local.keys() == on_ray.keys()
    for name, result in local.items():
        assert on_ray[name].ok
        for part in ("arm", "scores", "curve", "predictions", "model"):
            assert getattr(on_ray[name], part) == getattr(result, part), (result.arm, part)
        assert on_ray[name].environment.cpu == result.environment.cpu


def _cell(job: Job, settings: Settings, results: Connection) -> None:
    """Seed 0 sleeps, seed 1 is killed, seed 2 kills its task each time, others are done."""
    if job.cells[0].seed == 0:
        time.sleep(600)
    if job.cells[0].seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if job.cells[0].seed == 2:
        server = psutil.Process(os.getppid())
        server.parent().kill()
        time.sleep(600)
    result = CellResult.begun(job.cells[0])
    result.status = "ok"
    results.send_bytes(RESULTS.dump_json([result]))


def _work(job: Job, settings: Settings) -> Answer:
    return run_job(job, settings, _cell)


def test_each_way_to_end_yields_one_result_and_no_process_stays(tmp_path: Path) -> None:
    children = {*psutil.Process().children(recursive=True)}
    executor = RayExecutor(Settings(2, 15.0), _work)
    outcomes: dict[int, tuple[str, str | None]] = {}
    try:
        for seed in range(4):
            cell = BASE.model_copy(update={"seed": seed})
            executor.submit(Job((cell,), NO_BACKBONE, tmp_path))
            while not (found := executor.finished(60)):
                pass
            (result,) = found
            outcomes[seed] = result.status, result.error and result.error.type
            assert result.id == cell.id
            assert seed >= 2 or result.environment.python
    finally:
        executor.stop()
    assert outcomes == {
        0: ("timeout", "CellTimeout"),
        1: ("error", "ProcessDied"),
        2: ("error", "ProcessDied"),
        3: ("ok", None),
    }
    assert {*psutil.Process().children(recursive=True)} <= children


def test_a_memory_limit_is_a_result(tmp_path: Path, tiny: Path) -> None:
    words = [*TOO_LARGE, "--executor", "ray", "--workers", 1]
    done = bench_long("run", tiny, "--out", tmp_path / "out", *words)
    assert done.returncode == 1, done.stderr
    arms = {r.arm: r.status for r in read_run(tmp_path / "out").results.values()}
    assert arms["LoRA 1/2"] == "oom"


def _cells(run: int) -> set[int]:
    found = set()
    for process in psutil.Process(run).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "harness.execution.preload" in " ".join(process.cmdline()):
                found.add(process.pid)
    return found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_an_ended_run(end: int, tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    words = ["--executor", "ray", "--workers", 1, "--set", LONG]
    run = start_bench_long("run", tiny, "--out", out, *words)
    wait_for(lambda: len(_cells(run.pid)) >= 2, 90)  # the fork server and its cell
    cells = _cells(run.pid)
    started = psutil.Process(run.pid).children(recursive=True)
    assert any("raylet" in " ".join(process.cmdline()) for process in started)
    # Ctrl-C reaches the whole foreground group, a plain kill the run alone.
    (os.killpg if end == signal.SIGINT else os.kill)(run.pid, end)
    stdout, stderr = run.communicate(timeout=30)
    if end != signal.SIGKILL:
        assert run.returncode == 130, stdout + stderr
        assert "interrupted" in stdout
        assert "Traceback" not in stdout + stderr
    if end == signal.SIGKILL:  # Ray's own agents notice it after some minutes
        started = [process for process in started if process.pid in cells]
    wait_for(lambda: not any(p.is_running() and p.status() != "zombie" for p in started), 10)
