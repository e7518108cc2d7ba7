"""Processes of cells and of the run die in many ways: each leaves a result or an exit code."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from benchmarks.runner_overhead import make_plan
from harness.core.folder import RunFolder, read_run
from harness.core.result import CellResult
from harness.execution.executor import RESULTS, Job, Settings
from harness.execution.executors.local import LocalExecutor
from harness.execution.runner import run_plan
from tests.harness.conftest import ROOT, cells, start_bench_long
from tests.harness.execution.test_failures import by_arm, servers, wait_for, workers

LONG = "train.examples=512"


IN_A_CELL = "multiprocessing.parent_process() is not None"


def plugin(folder: Path, body: str, when: str = IN_A_CELL) -> list[object]:
    """A task that does `body` in a cell's process, or `when`; returns the options that use it."""
    folder.mkdir()
    (folder / "wild.py").write_text(
        "import multiprocessing, os, re, time\n"
        "import numpy as np\n"
        "from tasks.builtin.documents.newsgroups import Newsgroups\n"
        "class Wild(Newsgroups):\n"
        "    metadata = Newsgroups.metadata.model_copy(update={'name': 'wild'})\n"
        "    def splits(self, length, seed):\n"
        "        splits = super().splits(length, seed)\n"
        f"        if {when}:\n"
        f"            {body}\n"
        "        return splits\n"
    )
    return ["--tasks-dir", folder, "--set", "tasks=[wild]"]


def imports_torch(run: subprocess.Popen[str]) -> bool:
    """Whether the fork server has reached the import of torch. It is not done with it for long."""
    return any("libtorch" in part.path for p in servers(run) for part in p.memory_maps())


def alive(processes: list[psutil.Process]) -> bool:
    return any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def ended(run: subprocess.Popen[str]) -> str:
    """All it printed."""
    stdout, stderr = run.communicate(timeout=120)
    assert "Traceback" not in stdout + stderr
    assert "Warning" not in stderr, stderr
    return stdout + stderr


@pytest.mark.slow
def test_a_cell_that_holds_the_interpreter_dies_with_the_run(tmp_path: Path, tiny: Path) -> None:
    """A regular expression that never ends lets no other thread of its process run."""
    words = plugin(
        tmp_path / "plugins", "print('stuck', flush=True); re.match('(a+)+$', 'a' * 99 + 'b')"
    )
    out = tmp_path / "out"
    run = start_bench_long("run", tiny, "--out", out, *words)
    logs = out / "logs"
    wait_for(lambda: any("stuck" in p.read_text() for p in logs.glob("*.log")), 240)
    running = workers(run, 1)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    wait_for(lambda: not alive(running), 2)


@pytest.mark.slow
def test_a_dead_cell_is_not_waited_for_because_of_what_it_left_behind(
    tmp_path: Path, tiny: Path
) -> None:
    body = "os.fork() or time.sleep(40); os.kill(os.getpid(), 9)"
    words = plugin(tmp_path / "plugins", body)
    run = start_bench_long("run", tiny, "--out", tmp_path / "out", *words)
    assert run.wait(timeout=35) == 1
    assert "killed by signal 9" in by_arm(tmp_path / "out")["LoRA 1/2"]["error"]["message"]


@pytest.mark.slow
def test_labels_and_names_may_be_numpys(tmp_path: Path, tiny: Path) -> None:
    body = (
        "splits = type(splits)(*[[e._replace(id=np.int64(i), label=np.int64(e.label))"
        " for i, e in enumerate(part)] for part in splits])"
    )
    words = plugin(tmp_path / "p", body, when="True")
    run = start_bench_long("run", tiny, "--out", tmp_path / "out", *words)
    ended(run)
    assert run.returncode == 0
    assert {r["status"] for r in cells(tmp_path / "out").values()} == {"ok"}


@pytest.mark.slow
def test_the_server_that_starts_cells_may_die(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "out"
    run = start_bench_long("run", tiny, "--out", out, "--workers", 1, "--set", LONG)
    wait_for(lambda: imports_torch(run), 240)
    servers(run)[0].kill()
    running = workers(run, 1)
    wait_for(lambda: bool(list((out / "logs").glob("*.log"))), 240)
    servers(run)[0].kill()  # while a cell runs
    wait_for(lambda: not alive(running), 10)
    ended(run)
    assert run.returncode == 1
    outcome = by_arm(out)
    assert outcome["LoRA 1/2"]["error"]["type"] == "ProcessDied"
    assert outcome["TF-IDF"]["status"] == "ok"


@pytest.mark.slow
def test_ctrl_c_while_the_server_imports(tmp_path: Path, tiny: Path) -> None:
    run = start_bench_long("run", tiny, "--out", tmp_path / "out")
    wait_for(lambda: imports_torch(run), 240)
    os.killpg(run.pid, signal.SIGINT)
    assert "interrupted: 0 of 2 cells" in ended(run)
    assert run.returncode == 130


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_reads_its_lines(tmp_path: Path, tiny: Path) -> None:
    run = start_bench_long("run", tiny, "--out", tmp_path / "out")
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.readline()
    run.stdout.close()
    assert run.stderr.read() == ""
    assert run.wait(timeout=120) == 0
    assert (tmp_path / "out" / "report" / "index.html").exists()


COUNTS = """
import sys
from pathlib import Path
from harness.planning.plan import make_plan
from harness.execution.executor import Settings
from harness.execution.executors import make_executor
from harness.execution.runner import run_plan
from harness.core.folder import RunFolder
from harness.planning.sweep import load_sweep
path = Path(sys.argv[1])
plan = make_plan(load_sweep(path, ["seeds=[0, 1]"]), path)
seen = []
with RunFolder(path.parent / "out") as folder:
    executor = make_executor("local", Settings(2, 600))
    run_plan(plan, folder, executor, (), lambda now, _: seen.append((now.done, now.running)))
print(seen)
"""


@pytest.mark.slow
def test_progress_counts_the_running_cells(tiny: Path) -> None:
    call = [sys.executable, "-c", COUNTS, str(tiny)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[(0, 2), (1, 2), (2, 2), (3, 1), (4, 0)]\n", done.stderr


def test_a_terminal_that_knows_ascii_only(tiny: Path) -> None:
    call = [sys.executable, "-m", "harness", "plan", str(tiny)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert "newsgroups ? LoRA 1/2" in done.stdout


def test_the_command_without_the_benchmarks_packages() -> None:
    code = "import sys; sys.modules['click'] = None; import harness.cli.main"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == (
        "bench-long: the package click is not installed: pip install -e '.[bench]'\n"
    )


def trial(job: Job, settings: Settings, results: Connection) -> None:
    """Seed 0 sleeps, 1 is killed, 2 is killed while it sends its result, 3 exits, 4 is done."""
    result = CellResult.begun(job.cells[0])
    result.status = "ok"
    content = RESULTS.dump_json([result])
    if job.cells[0].seed == 0:
        time.sleep(600)
    if job.cells[0].seed == 2:
        os.write(results.fileno(), (1000).to_bytes(4, "big") + content[:20])
    if job.cells[0].seed in (1, 2):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.cells[0].seed == 3:
        sys.exit(3)
    results.send_bytes(content)


def test_each_way_to_end_yields_one_result_and_the_run_goes_on(tmp_path: Path) -> None:
    plan = make_plan(5)
    with RunFolder(tmp_path / "out") as folder:
        ran = []
        # The cell that sleeps is left to the second run, so that no other one meets its limit.
        for cells, limit in ((plan.cells[1:], 600), (plan.cells, 0.2)):
            executor = LocalExecutor(Settings(2, limit), trial, ["json"])
            outcome = run_plan(replace(plan, cells=cells), folder, executor)
            ran.append((outcome.ran, outcome.interrupted))
    assert ran == [(4, False), (1, False)]
    found = read_run(tmp_path / "out").results.values()
    errors = {r.cell.seed: (r.error.type, r.error.message) for r in found if r.error}
    assert {r.cell.seed: r.status for r in found} == {
        0: "timeout", 1: "error", 2: "error", 3: "error", 4: "ok",
    }  # fmt: skip
    assert errors[0][0] == "CellTimeout"
    for seed, how in ((1, "killed by signal 9"), (2, "killed by signal 9"), (3, "exit code 3")):
        assert errors[seed][0] == "ProcessDied"
        assert str(errors[seed][1]).endswith(how)
    machines = {r.environment.python for r in found if r.error}
    assert machines == {platform.python_version()}


@pytest.mark.slow
def test_ctrl_z_stops_the_cells_as_well(tmp_path: Path, tiny: Path) -> None:
    run = start_bench_long("run", tiny, "--out", tmp_path / "out", "--workers", 1, "--set", LONG)
    (cell,) = workers(run, 1)
    wait_for(lambda: bool(list((tmp_path / "out" / "logs").glob("*.log"))), 240)
    os.kill(run.pid, signal.SIGTSTP)
    wait_for(lambda: cell.status() == psutil.STATUS_STOPPED, 5)
    wait_for(lambda: psutil.Process(run.pid).status() == psutil.STATUS_STOPPED, 5)
    os.kill(run.pid, signal.SIGCONT)
    wait_for(lambda: not cell.is_running() or cell.status() != psutil.STATUS_STOPPED, 5)
    ended(run)
    assert run.returncode == 0
