"""Where cells run. An engine has four calls: `start`, `finished`, `send`, `stop`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from harness.core.errors import BadInput, one_line
from harness.core.result import CellResult, Failure
from harness.execution.lifeline import hold, kill_group
from harness.execution.worker import PRELOAD, Job, work


class Engine(Protocol):
    """The runner's view of a place where cells run."""

    def start(self, job: Job) -> None:
        """Begin a cell; returns at once."""

    def finished(self, timeout: float) -> list[CellResult]:
        """Results of the cells that ended, after waiting up to `timeout` seconds for one."""

    def send(self, signal_: int) -> None:
        """Send a signal to every running cell and what it started."""

    def stop(self) -> None:
        """End what is running, without results."""


@dataclass
class _Running:
    job: Job
    process: BaseProcess
    results: Connection
    started: float
    oom_kills: int


class LocalEngine:
    """Processes on this machine, forked from a server that has the imports loaded.

    A process for each cell keeps peaks of memory apart and contains every failure; the fork
    server pays for the imports once.
    """

    def __init__(self, cell_seconds: float) -> None:
        self._limit = cell_seconds
        self._running: dict[str, _Running] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)

    def start(self, job: Job) -> None:
        """Fork a process for the cell.

        Raises:
            BadInput: this system starts none.
        """
        for patience in (0.1, 0.4, 1.6, None):
            try:
                self._running[job.cell.id] = self._fork(job)
                return
            except (OSError, EOFError) as error:
                # The server died meanwhile, and another is started. A process that is dying has
                # closed its pipes a moment before the system says that it is dead.
                if patience is None:
                    raise BadInput(
                        f"the process of a cell cannot be started: {one_line(error)}"
                    ) from None
                time.sleep(patience)

    def _fork(self, job: Job) -> _Running:
        # A server born with Ctrl-C blocked hands that on, so that it prints nothing while it still
        # imports; Ctrl-C is the run's own to handle.
        hold()
        resource_tracker.ensure_running()  # first: starting it lifts the block
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        receive, send = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(job, send), daemon=True)
        process.start()
        send.close()
        return _Running(job, process, receive, time.monotonic(), _oom_kills())

    def finished(self, timeout: float) -> list[CellResult]:
        """Collect results; a process that died or outran its limit yields one in its place."""
        now = time.monotonic()
        ends = [running.started + self._limit for running in self._running.values()]
        patience = max(0.0, min([now + timeout, *ends]) - now)
        running = self._running.values()
        wait([*(r.results for r in running), *(r.process.sentinel for r in running)], patience)
        return [
            result
            for cell_id in list(self._running)
            if (result := self._outcome(self._running[cell_id])) is not None
        ]

    def send(self, signal_: int) -> None:
        """Send a signal to every running cell and what it started."""
        for running in self._running.values():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(running.process.pid or 0, signal_)

    def stop(self) -> None:
        """Kill every running cell."""
        for running in self._running.values():
            _kill(running.process)
        self._running.clear()

    def _outcome(self, running: _Running) -> CellResult | None:
        job = running.job
        seconds = time.monotonic() - running.started
        result: CellResult | None = None
        failure: Failure | None = None
        dead = not running.process.is_alive()  # asked first: what it sent before can be read
        if running.results.poll():
            try:
                result = CellResult.model_validate_json(running.results.recv_bytes())
            except (EOFError, OSError):  # nothing, or half a result
                failure = _how_it_died(running)
        elif dead:  # without an end of the pipe: a process that it left behind holds it open
            failure = _how_it_died(running)
        elif seconds > self._limit:
            failure = Failure("timeout", "CellTimeout", f"ended after {self._limit:g} s, its limit")
        if failure is not None:
            result = CellResult.failed(job.cell, job.machine, failure, seconds)
        if result is not None:
            running.results.close()
            running.process.join(1)
            _kill(running.process)
            del self._running[job.cell.id]
        return result


def _how_it_died(running: _Running) -> Failure:
    running.process.join(5)
    code = running.process.exitcode
    if code == -9 and _oom_kills() > running.oom_kills:
        return Failure("oom", "KilledForMemory", "the system ended it: out of memory")
    how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return Failure("error", "ProcessDied", f"its process ended without a result: {how}")


def _kill(process: BaseProcess) -> None:
    """Kill a cell's process, if it runs, and what it left behind."""
    if process.pid is not None:
        # 255 is also what is told of a process whose server died before it: that one may still run.
        alive = process.exitcode in (None, 255)
        kill_group(process.pid, leader_too=alive)
        if alive:
            process.join(5)


def _oom_kills() -> int:
    """How many processes this system has ended for want of memory (0 where it does not say)."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
