"""The interface of executors, and the runner on the in-process executor with cells of all kinds."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.runner_overhead import KILOBYTES, done, kilobytes_per_cell, make_plan
from harness.cli.main import main
from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.folder import RunFolder, read_manifest, read_run
from harness.core.result import CellResult
from harness.execution import executors
from harness.execution.executor import Job, Settings
from harness.execution.executors import executor_names, make_executor
from harness.execution.executors.in_process import InProcessExecutor
from harness.execution.runner import Outcome, Progress, run_plan
from tests.harness.conftest import ROOT


def run(
    folder: Path,
    cells: int,
    cell: Callable[[Job], list[CellResult]] = done,
    retry: tuple[str, ...] = (),
) -> Outcome:
    with RunFolder(folder) as held:
        return run_plan(make_plan(cells), held, InProcessExecutor(60, cell), retry)


def fails_on_odd_seeds(job: Job) -> list[CellResult]:
    print("seed", job.cells[0].seed)
    (result,) = done(job)
    result.status = "oom" if job.cells[0].seed % 2 else "ok"
    return [result]


def test_each_module_of_the_folder_is_an_executor() -> None:
    assert executor_names() == ["in-process", "local", "ray"]
    assert make_executor("in-process", Settings(3, 60)).slots == 1
    assert make_executor("local", Settings(3, 60)).slots == 3


def test_a_new_module_is_a_new_executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_place.py").write_text("def make(settings): return settings.slots\n")
    monkeypatch.setattr(executors, "__path__", [*executors.__path__, str(tmp_path)])
    assert "my-place" in executor_names()
    assert make_executor("my-place", Settings(7, 60)) == 7  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("name", ["runner.py", "cell_main.py", "executor.py"])
def test_runner_and_cells_know_no_executor(name: str) -> None:
    tree = ast.parse((ROOT / "harness" / "execution" / name).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    local = ("harness.execution.executors", "harness.execution.forked", "harness.system.lifeline")
    assert not names & {*local, "multiprocessing", "harness.execution.preload"}


def test_an_unknown_executor_is_refused(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tiny), "--executor", "rya"]) == 2
    assert "'in-process', 'local', 'ray'" in capsys.readouterr().err


def test_every_cell_is_run_once_and_failed_ones_again_on_demand(tmp_path: Path) -> None:
    first = run(tmp_path, 6, fails_on_odd_seeds)
    assert (first.ran, len(first.failed), first.manifest.finished) == (6, 3, True)
    assert {*first.failed.values()} == {"oom"}
    again = run(tmp_path, 8, fails_on_odd_seeds)
    assert (again.ran, len(again.failed)) == (2, 4)
    retried = run(tmp_path, 8, retry=("oom",))
    assert (retried.ran, len(retried.failed)) == (4, 0)
    assert [time.cells for time in retried.manifest.runs] == [6, 2, 4]
    stored = read_run(tmp_path)
    assert sorted(stored.attempts.values()) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert stored.manifest == retried.manifest == read_manifest(tmp_path)
    logs = [(tmp_path / "logs" / f"{name}.log").read_text() for name in stored.results]
    assert sorted(logs) == [f"seed {seed}\n" for seed in range(8)]


def test_progress_counts_retried_cells_as_not_failed(tmp_path: Path) -> None:
    run(tmp_path, 4, fails_on_odd_seeds)
    seen: list[tuple[int, int]] = []

    def listen(progress: Progress, _: CellResult | None) -> None:
        seen.append((progress.done, progress.failed))

    with RunFolder(tmp_path) as held:
        run_plan(make_plan(4), held, InProcessExecutor(60, done), ("oom",), listen)
    assert seen == [(2, 0), (3, 0), (4, 0)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_finished(
    tmp_path: Path, number: int, request: pytest.FixtureRequest
) -> None:
    # A shell starts background jobs with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def interrupted(job: Job) -> list[CellResult]:
        if job.cells[0].seed == 2:
            os.kill(os.getpid(), number)
        return done(job)

    outcome = run(tmp_path, 4, interrupted)
    assert (outcome.interrupted, outcome.ran, outcome.manifest.finished) == (True, 2, False)
    assert len(read_run(tmp_path).results) == 2
    assert run(tmp_path, 4).manifest.finished


def test_a_time_limit_holds_in_this_process(tmp_path: Path) -> None:
    def stubborn(job: Job) -> list[CellResult]:
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    executor = InProcessExecutor(0.1, stubborn)
    job = Job((make_plan(1).cells[0],), make_plan(1).backbone, tmp_path)
    executor.submit(job)
    (result,) = executor.finished(0)
    assert (result.status, result.id) == ("timeout", job.cells[0].id)
    assert result.error is not None
    assert result.error.type == "CellTimeout"


def test_the_runner_works_as_much_for_a_cell_whatever_the_number_of_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner computes ids and costs a fixed number of times per cell."""
    asked = 0
    plain = {name: getattr(Cell, name).fget for name in ("id", "estimated_cost")}

    def counted(name: str) -> property:
        def value(cell: Cell) -> object:
            nonlocal asked
            asked += 1
            return plain[name](cell)

        return property(value)

    for name in plain:
        monkeypatch.setattr(Cell, name, counted(name))
    counts = []
    for cells in (10, 100):
        asked = 0
        run(tmp_path / str(cells), cells)
        counts.append(asked / cells)
    assert counts[0] == counts[1] <= 5


def test_a_waiting_cell_takes_little_memory(tmp_path: Path) -> None:
    assert kilobytes_per_cell(2000, tmp_path) < KILOBYTES


@pytest.mark.slow
def test_real_cells_in_one_process_without_ray(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    words = ["run", str(tiny), "--executor", "in-process", "--out", str(out)]
    code = (
        f"import sys; from harness.cli.main import main; assert main({words}) == 0;"
        " assert 'ray' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    results = read_run(out).results
    assert {result.status for result in results.values()} == {"ok"}
    assert {result.environment.python for result in results.values()} == {sys.version.split()[0]}
    logs = [path.read_text() for path in (out / "logs").iterdir()]
    assert any("validation_accuracy" in text for text in logs)


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"^--executor ray: .* pip install -e '\.\[ray\]'$"):
        make_executor("ray", Settings(1, 60))


def test_an_allocation_that_fails_inside_a_library_is_out_of_memory() -> None:
    from harness.training.failures import status_of

    def failure(inner: Exception) -> Exception:
        try:
            try:
                raise inner
            except Exception:
                raise ValueError("the tokenizer cannot be read") from None
        except ValueError as error:
            return error

    assert status_of(failure(MemoryError())) == "oom"
    assert status_of(failure(RuntimeError("mmap: Cannot allocate memory (12)"))) == "oom"
    assert status_of(failure(RuntimeError("can't start new thread"))) == "oom"
    assert status_of(failure(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when"))) == "oom"
    assert status_of(failure(KeyError("a"))) == "error"
