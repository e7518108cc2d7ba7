"""SIGKILL at any moment of a run: its processes end, and the next run removes what it left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest

from harness.execution.executor import Job, Settings
from harness.execution.executors.local import LocalExecutor
from harness.system.lifeline import follow
from tests.harness.conftest import ROOT, TINY
from tests.harness.planning.test_plan import BASE, NO_BACKBONE

BOUND = 2.0
"""Seconds after which no process of a killed run may be alive."""

ENGINE = """
import multiprocessing, re, os, sys, time
from pathlib import Path
from harness.system import lifeline
from harness.system import scratch
from harness.execution.executor import Job, Settings
from harness.execution.executors.local import LocalExecutor
from harness.core.cell import Cell
from harness.models.backbones import Backbone

def stuck(job, settings, results):
    lifeline.follow(multiprocessing.parent_process().sentinel)  # as `forked.main` does
    # What a cell starts, then the interpreter's lock held for good: no thread of Python's can run.
    if not os.fork():
        time.sleep(600)
    job.log(job.cells[0]).write_text("stuck")
    re.match("(a+)+$", "a" * 99 + "b")

if __name__ == "__main__":
    with scratch.run_folder():
        executor = LocalExecutor(Settings(1, 600), stuck)
        cell = Cell.model_validate_json(sys.argv[2])
        executor.submit(Job((cell,), Backbone("", Path(), ""), Path(sys.argv[1])))
        while True:
            executor.finished(60)
"""


class Trial:
    """A process in a TMPDIR of its own, and all that it and its children start."""

    def __init__(self, folder: Path, *call: object) -> None:
        self.mark = f"BENCH_LONG_TRIAL={uuid.uuid4()}"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        name, _, value = self.mark.partition("=")
        self.run = subprocess.Popen(
            [sys.executable, *map(str, call)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(self.temporary), name: value},
        )

    def processes(self) -> list[psutil.Process]:
        """Every living process that has this trial's mark in its environment."""
        found = []
        for pid in psutil.pids():
            try:
                marked = self.mark.encode() in Path(f"/proc/{pid}/environ").read_bytes()
                if marked and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    found.append(psutil.Process(pid))
            except (OSError, psutil.Error):
                continue
        return found

    def kill(self) -> float:
        """Kill the run alone; seconds until the last of its processes was gone."""
        self.run.send_signal(signal.SIGKILL)
        start = time.monotonic()
        self.run.wait()
        while (left := self.processes()) and time.monotonic() - start < 2 * BOUND:
            time.sleep(0.02)
        took = time.monotonic() - start
        names = [" ".join(process.cmdline()) for process in left if process.is_running()]
        for process in left:
            process.kill()
        assert not names, names
        return took


@pytest.mark.parametrize("moment", [0.1, 0.6, 0.9, 1.5, "stuck"])
def test_nothing_outlives_a_killed_run(moment: float | str, tmp_path: Path) -> None:
    script, log = tmp_path / "script.py", tmp_path / f"{BASE.id}.log"
    script.write_text(ENGINE)
    trial = Trial(tmp_path, script, tmp_path, BASE.model_dump_json())
    end = time.monotonic() + (moment if isinstance(moment, float) else 60)
    while time.monotonic() < end and not log.exists():
        time.sleep(0.01)
    assert log.exists() or moment != "stuck"
    assert trial.kill() < BOUND


CHILD = """
import re, sys
from harness.system.deadline import in_child
def stuck():
    print("stuck", file=sys.stderr, flush=True)
    re.match("(a+)+$", "a" * 99 + "b")
    return ""
in_child(stuck, 600)
"""


def test_a_child_dies_with_what_forked_it(tmp_path: Path) -> None:
    """`plan` builds data in a child; the child holds the interpreter's lock here."""
    trial = Trial(tmp_path, "-c", CHILD)
    assert trial.run.stderr is not None
    trial.run.stderr.readline()
    assert len(trial.processes()) == 2
    assert trial.kill() < BOUND


def _dies_and_leaves_a_child(job: Job, settings: Settings, results: object) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    follow(parent.sentinel)
    child = os.fork()
    if not child:
        time.sleep(600)
    job.log(job.cells[0]).write_text(str(child))
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_cell_started_ends_with_it(tmp_path: Path) -> None:
    executor = LocalExecutor(Settings(1, 30), _dies_and_leaves_a_child, ["json"])
    executor.submit(Job((BASE,), NO_BACKBONE, tmp_path))
    (result,) = executor.finished(20)
    assert "killed by signal 9" in result.error.message
    child = int((tmp_path / f"{BASE.id}.log").read_text())
    end = time.monotonic() + BOUND
    while psutil.pid_exists(child) and time.monotonic() < end:
        time.sleep(0.02)
    assert not psutil.pid_exists(child)


def sweep(folder: Path) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(TINY)
    return path


PROBES = """\
name: probes
backbone: minilm
methods: [full, lora: {}, ssmlora: {}]
probe: {lengths: [64], steps: 20}
"""


@pytest.mark.slow
def test_a_timing_group_stops_and_dies_with_its_run(tmp_path: Path) -> None:
    path, out = tmp_path / "probes.yaml", tmp_path / "out"
    path.write_text(PROBES)
    trial = Trial(tmp_path, "-m", "harness", "run", path, "--out", out)
    end = time.monotonic() + 120
    while len(list((out / "logs").glob("*.log"))) < 4 and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(trial.run.pid, signal.SIGTSTP)
    time.sleep(1)
    stopped = [p.status() for p in trial.processes()].count(psutil.STATUS_STOPPED)
    os.kill(trial.run.pid, signal.SIGCONT)
    time.sleep(0.5)
    left = [p.status() for p in trial.processes()].count(psutil.STATUS_STOPPED)
    assert trial.kill() < BOUND
    assert (stopped, left) == (6, 0)  # the run, the leader, and four arms, one of them the head
    assert not list((out / "cells").glob("*.json"))


@pytest.mark.slow
def test_kills_spread_over_the_life_of_a_run(tmp_path: Path) -> None:
    """Trials enough to meet every stage; then one whole run cleans up after all of them.

    Each stage (imports, the plan, imports of the server, training, the report) takes a second or
    more.
    """
    call = ["-m", "harness", "run", sweep(tmp_path), "--out", tmp_path / "out"]
    moments = [0.05 + 0.8 * step for step in range(12)]
    slowest = 0.0
    for moment in moments:
        trial = Trial(tmp_path, *call)
        try:
            trial.run.wait(moment)
        except subprocess.TimeoutExpired:
            slowest = max(slowest, trial.kill())
    assert slowest < BOUND
    last = Trial(tmp_path, *call)
    assert last.run.wait(240) == 0
    assert list(last.temporary.iterdir()) == []
    assert not list((tmp_path / "out").rglob("*.tmp"))
    end = time.monotonic() + BOUND  # what it has killed may still be ending
    while last.processes() and time.monotonic() < end:
        time.sleep(0.02)
    assert last.processes() == []
