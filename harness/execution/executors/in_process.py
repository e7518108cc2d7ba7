"""Runs cells one after another in the process of the run: for debuggers and measurements.

A crash of a cell ends the run, cells share one peak of memory, and `cell_gib` does not apply. The
cells of a timing group take their turns in this process, all models in memory at once; they share
one time limit, the sum of their own, and one log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

from harness.core.result import CellResult
from harness.execution.executor import Job, Settings, timed_out
from harness.system.deadline import TimedOut, hard_limit


class InProcessExecutor:
    """One job at a time, in the main thread. The job runs when its result is asked for.

    Args:
        run: what runs a job; the default trains or probes its cells.
    """

    slots = 1

    def __init__(
        self, cell_seconds: float, run: Callable[[Job], list[CellResult]] | None = None
    ) -> None:
        self._cell_seconds = cell_seconds
        self._run = run
        self._waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        """Keep the job for `finished`."""
        self._waiting.append(job)

    def finished(self, timeout: float) -> list[CellResult]:
        """Run the submitted jobs to their ends."""
        jobs, self._waiting = self._waiting, []
        return [result for job in jobs for result in self._results(job)]

    def pause(self) -> None:
        """Nothing to do: the job stops with this process."""

    def resume(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Forget the jobs that have not run."""
        self._waiting.clear()

    def _results(self, job: Job) -> list[CellResult]:
        start = time.monotonic()
        run = self._run or _run_job
        limit = job.limit(self._cell_seconds)
        try:
            with (
                job.log(job.cells[0]).open("a", encoding="utf-8", errors="replace") as log,
                redirect_stdout(log),
                redirect_stderr(log),
                hard_limit(limit),
            ):
                return run(job)
        except TimedOut:
            seconds = time.monotonic() - start
            return [CellResult.failed(cell, None, timed_out(limit), seconds) for cell in job.cells]


def _run_job(job: Job) -> list[CellResult]:
    from harness.execution.cell_main import run_job

    return run_job(job)


def make(settings: Settings) -> InProcessExecutor:
    """Build the executor; `slots` and `memory_bytes` do not apply."""
    return InProcessExecutor(settings.cell_seconds)
