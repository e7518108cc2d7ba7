"""Runs each job in a process of its own on this machine, forked from a server with all imports.

Separate processes keep peaks of memory apart and contain every failure. The fork server imports
torch and transformers once. The process of a timing group forks one process for each cell. Of
several GPUs, each process sees one: that with the fewest jobs.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from harness.core.errors import BadInput, one_line
from harness.core.result import CellResult, Failure
from harness.execution import forked
from harness.execution.executor import RESULTS, Job, Settings, died_with, timed_out
from harness.system.lifeline import kill_group
from harness.system.machine import describe_machine
from harness.system.resources import oom_kills, visible_gpus
from harness.system.server import fork_server, start_server

_PAUSES = (0.1, 0.4, 1.6, None)
"""Seconds before each further attempt to start a process; after None there is none."""


@dataclass
class _Running:
    job: Job
    process: BaseProcess
    results: Connection
    started: float
    oom_kills: int


class LocalExecutor:
    """Processes on this machine.

    Args:
        main: the function of a job's process; a test may pass another.
        preload: modules that the fork server imports.
    """

    def __init__(
        self,
        settings: Settings,
        main: Callable[[Job, Settings, Connection], None] = forked.main,
        preload: Sequence[str] = forked.PRELOAD,
    ) -> None:
        self.slots = settings.slots
        self._settings = settings
        self._main = main
        self._running: list[_Running] = []
        self._context = fork_server(preload)

    def submit(self, job: Job) -> None:
        """Fork a process for the job.

        Raises:
            BadInput: the system starts no process.
        """
        job = self.placed(job)
        for pause in _PAUSES:
            try:
                self._running.append(self._fork(job))
                return
            except (OSError, EOFError) as error:
                # The fork server died, and the next attempt starts another. A dying process closes
                # its pipes a moment before the system reports its death.
                if pause is None:
                    raise BadInput(
                        f"the process of a cell cannot be started: {one_line(error)}"
                    ) from None
                time.sleep(pause)

    def placed(self, job: Job) -> Job:
        """Give a job the GPUs with the fewest jobs, unless it has its own or there is one."""
        if job.cells[0].device != "cuda" or job.gpus is not None:
            return job
        gpus = visible_gpus()
        if len(gpus) < 2:
            return job
        taken = ",".join(running.job.gpus or "" for running in self._running)
        used = Counter(taken.split(","))
        free = sorted(gpus, key=lambda gpu: used[gpu])
        return replace(job, gpus=",".join(free[: job.cells[0].levers.devices]))

    def _fork(self, job: Job) -> _Running:
        start_server()
        receive, send = self._context.Pipe(duplex=False)
        arguments = (job, self._settings, send)
        process = self._context.Process(target=self._main, args=arguments, daemon=True)
        process.start()
        send.close()
        return _Running(job, process, receive, time.monotonic(), oom_kills())

    def finished(self, timeout: float) -> list[CellResult]:
        """Collect results; a process that died or exceeded its time yields a failed one."""
        now = time.monotonic()
        running = self._running
        ends = [r.started + r.job.limit(self._settings.cell_seconds) for r in running]
        waiting = max(0.0, min([now + timeout, *ends]) - now)
        wait([*(r.results for r in running), *(r.process.sentinel for r in running)], waiting)
        return [result for r in list(running) for result in self._outcome(r)]

    def pause(self) -> None:
        """Stop every running cell and its children: they are in process groups of their own."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue every running cell and its children."""
        self._send(signal.SIGCONT)

    def stop(self) -> None:
        """Kill every running cell."""
        for running in self._running:
            _kill(running.process)
        self._running.clear()

    def _send(self, number: int) -> None:
        for running in self._running:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(running.process.pid or 0, number)

    def _outcome(self, running: _Running) -> list[CellResult]:
        """Return the results of a job that has ended, otherwise none."""
        job, limit = running.job, running.job.limit(self._settings.cell_seconds)
        seconds = time.monotonic() - running.started
        results: list[CellResult] = []
        failure: Failure | None = None
        dead = not running.process.is_alive()  # asked first, so that no late result is missed
        if running.results.poll():
            try:
                results = RESULTS.validate_json(running.results.recv_bytes())
            except (EOFError, OSError):  # no result, or half of one
                failure = _how_it_died(running)
        elif dead:  # the pipe may still be open in a process that the cell left behind
            failure = _how_it_died(running)
        elif seconds > limit:
            failure = timed_out(limit)
        if failure is not None:
            machine = describe_machine()
            results = [CellResult.failed(cell, machine, failure, seconds) for cell in job.cells]
        if results:
            running.results.close()
            running.process.join(1)
            _kill(running.process)
            self._running.remove(running)
        return results


def _how_it_died(running: _Running) -> Failure:
    running.process.join(5)
    return died_with(running.process.exitcode, running.oom_kills)


def _kill(process: BaseProcess) -> None:
    """Kill a cell's process, if it runs, and the processes that it left behind."""
    if process.pid is not None:
        # A process whose server died before it has the exit code 255, and may still run.
        alive = process.exitcode in (None, 255)
        kill_group(process.pid, leader_too=alive)
        if alive:
            process.join(5)


def make(settings: Settings) -> LocalExecutor:
    """Build the executor."""
    return LocalExecutor(settings)
