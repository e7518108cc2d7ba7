"""Failures are results: real divergence, real memory limits, real kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.cli.main import main
from tests.harness.conftest import (
    TINY,
    bench_long,
    cells,
    results_here,
    run_here,
    start_bench_long,
)

LONG = "train.examples=512"

TOO_LARGE = ("--set", "lengths=[256]", "--set", "limits={cell_gib: 0.65}")
"""A limit with room for the libraries (0.51) and a model, and not for these activations."""


def by_arm(folder: Path) -> dict[str, dict[str, object]]:
    return {r["arm"]: r for r in cells(folder).values()}


def workers(run: subprocess.Popen[str], at_least: int) -> list[psutil.Process]:
    """Wait for the processes of cells: children of the fork server that the run started.

    The run starts another process for a cell whose process dies in the moment of the fork.
    """

    def found() -> list[psutil.Process]:
        return [p for server in servers(run) for p in server.children() if is_older(p)]

    def is_older(process: psutil.Process) -> bool:
        try:
            return process.create_time() < time.time() - 1
        except psutil.NoSuchProcess:
            return False

    wait_for(lambda: len(found()) >= at_least, 240)
    return found()


def servers(run: subprocess.Popen[str]) -> list[psutil.Process]:
    """The fork server, if it runs."""

    def is_one(process: psutil.Process) -> bool:
        try:
            return "forkserver" in " ".join(process.cmdline())
        except psutil.Error:
            return False  # it has just died

    return [process for process in psutil.Process(run.pid).children() if is_one(process)]


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not true within {seconds} s"
        time.sleep(0.05)


def logged(folder: Path, words: str) -> bool:
    return any(words in p.read_text() for p in (folder / "logs").glob("*.log"))


def test_divergence_is_a_result(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    change = "methods=[{lora: {lr: 1.0e+30}}, {lora: {density: 0.5}}]"
    assert run_here(tiny, "--out", out, "--set", change) == 1
    outcome = by_arm(out)
    assert outcome["LoRA 1"]["status"] == "diverged"
    assert outcome["LoRA 1"]["model"]["trainable_params"] > 0
    assert outcome["LoRA 1/2"]["status"] == outcome["TF-IDF"]["status"] == "ok"
    assert logged(out, "Diverged")
    assert "diverged" in (out / "results.csv").read_text()
    assert "diverged" in (out / "report" / "index.html").read_text()


@pytest.mark.slow
def test_a_memory_limit_is_a_result_and_can_be_retried(tmp_path: Path, tiny: Path) -> None:
    done = bench_long("run", tiny, "--out", tmp_path / "small", *TOO_LARGE)
    assert done.returncode == 1, done.stderr
    assert by_arm(tmp_path / "small")["LoRA 1/2"]["status"] == "oom"

    again = ("--set", "lengths=[256]", "--retry", "oom")
    assert results_here(tiny, "--out", tmp_path / "small", *again) == 0
    files = cells(tmp_path / "small")
    second = next(name for name in files if "retry1" in name)
    assert files[second]["status"] == "ok"
    assert files[second.replace(".retry1", "")]["status"] == "oom"


@pytest.mark.slow  # quick: test_each_way_to_end_yields_one_result_and_the_run_goes_on
def test_a_cell_over_its_time_is_ended(tmp_path: Path, tiny: Path) -> None:
    changes = ["--set", LONG, "--set", "lengths=[512]", "--set", "limits={cell_seconds: 10}"]
    done = bench_long("run", tiny, "--out", tmp_path / "out", *changes)
    assert done.returncode == 1, done.stderr
    outcome = by_arm(tmp_path / "out")
    assert outcome["LoRA 1/2"]["status"] == "timeout"
    assert outcome["TF-IDF"]["status"] == "ok"


@pytest.mark.slow  # quick: test_each_way_to_end_yields_one_result_and_the_run_goes_on
def test_a_killed_cell_is_a_result_and_the_sweep_goes_on(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    run = start_bench_long("run", tiny, "--out", out, "--workers", 1, "--set", LONG)
    workers(run, 1)[0].kill()
    stdout, stderr = run.communicate(timeout=120)
    assert run.returncode == 1, stdout + stderr
    outcome = by_arm(out)
    assert outcome["LoRA 1/2"]["status"] == "error"
    assert "killed by signal 9" in outcome["LoRA 1/2"]["error"]["message"]
    assert outcome["TF-IDF"]["status"] == "ok"


@pytest.mark.slow
def test_kill_9_of_the_run_loses_only_what_ran(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    tiny.write_text(TINY.replace("seeds: [0]", "") + "seeds: [0, 1, 2, 3, 4, 5]\n")
    run = start_bench_long("run", tiny, "--out", out, "--set", "train.examples=64")
    wait_for(lambda: len(list((out / "cells").glob("*.json"))) >= 3, 240)
    running = workers(run, 1)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    wait_for(lambda: not any(p.is_running() for p in running), 2)
    files = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (out / "cells").glob("*.json")}
    logs = {p: p.read_bytes() for p in (out / "logs").iterdir()}
    time.sleep(2)
    assert logs == {p: p.read_bytes() for p in (out / "logs").iterdir()}
    for _, text in files.values():
        json.loads(text)
    assert results_here(tiny, "--out", out, "--set", "train.examples=64") == 0
    assert len(cells(out)) == 12
    for path, before in files.items():
        assert (path.stat().st_mtime_ns, path.read_bytes()) == before


@pytest.mark.parametrize(
    "signal_",
    [
        pytest.param(signal.SIGINT, id="ctrl-c"),
        # quick: test_an_interrupt_keeps_what_is_finished
        pytest.param(signal.SIGTERM, id="term", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_ends_cleanly(tmp_path: Path, tiny: Path, signal_: int) -> None:
    out = tmp_path / "out"
    run = start_bench_long("run", tiny, "--out", out, "--workers", 1, "--set", LONG)
    running = workers(run, 1)
    wait_for(lambda: logged(out, "Loading weights"), 240)
    # Ctrl-C reaches the whole foreground group, a plain kill the run alone
    (os.killpg if signal_ == signal.SIGINT else os.kill)(run.pid, signal_)
    stdout, stderr = run.communicate(timeout=20)
    assert run.returncode == 130, stdout + stderr
    assert "Traceback" not in stdout + stderr
    assert "interrupted" in stdout
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in running)
    assert all(r["status"] == "ok" for r in cells(out).values())
    assert (out / "results.csv").exists()


@pytest.mark.slow  # quick: test_the_second_run_is_refused_and_a_dead_one_is_not_in_the_way
def test_two_runs_into_one_folder(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    first = start_bench_long("run", tiny, "--out", out, "--set", LONG)
    wait_for(lambda: (out / "manifest.json").exists(), 240)
    second = bench_long("run", tiny, "--out", out)
    assert second.returncode == 2
    assert "another run is writing into this folder" in second.stderr
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert results_here(tiny, "--out", out) == 0


def test_a_broken_task_fails_its_cells_only(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "torn.py").write_text(
        "from pathlib import Path\n"
        "from tasks.builtin.documents.newsgroups import Newsgroups\n"
        "class Torn(Newsgroups):\n"
        "    metadata = Newsgroups.metadata.model_copy(update={'name': 'torn'})\n"
        "    def splits(self, length, seed):\n"
        f"        if not Path({str(out / 'manifest.json')!r}).exists():  # while it is planned\n"
        "            return super().splits(length, seed)\n"
        "        raise RuntimeError('torn <b>data</b>')\n"
    )
    words = ["--tasks-dir", tmp_path / "plugins", "--set", "tasks=[newsgroups, torn]"]
    assert run_here(tiny, "--out", out, *words) == 1
    outcome = {(r["cell"]["task"], r["arm"]): r for r in cells(out).values()}
    assert outcome["torn", "LoRA 1/2"]["error"]["message"] == "torn <b>data</b>"
    assert outcome["newsgroups", "LoRA 1/2"]["status"] == "ok"
    page = (out / "report" / "index.html").read_text()
    assert "torn &lt;b&gt;data" in page
    assert "<b>data" not in page


def test_a_finished_folder_says_what_failed_and_how_to_try_again(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (tiny, "--out", tmp_path / "out", "--set", "limits.cell_seconds=0.01")
    assert results_here(*words) == 1
    capsys.readouterr()
    assert results_here(*words) == 1
    again = capsys.readouterr().out
    assert "all 2 cells were done before: nothing to run" in again
    assert "--retry timeout" in again
    assert main(["plan", *map(str, words)]) == 0
    planned = capsys.readouterr().out
    assert ", 0 to run" in planned
    assert "failed: timeout" in planned
