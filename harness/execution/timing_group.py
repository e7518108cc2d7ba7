"""A timing group in processes: the leader forks one process for each arm and gives them turns.

The arms belong to the process group of the leader. So they pause with it, and they end with the
run, however it ends. An arm that dies or exceeds its time fails alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

import torch

from harness.core.cell import Cell
from harness.core.errors import log_traceback
from harness.core.result import CellResult, Failure
from harness.execution.cell_main import probe_turns
from harness.execution.executor import Job, died_with, timed_out
from harness.execution.forked import log_to
from harness.system.machine import describe_machine
from harness.system.resources import default_workers, oom_kills
from harness.training.timing import HereArm, Reading, Turn, in_rounds


def run_group(job: Job, cell_seconds: float) -> list[CellResult]:
    """Run the cells of a job in turns, each in a process of its own."""
    arms = [ForkedArm(job, cell, cell_seconds) for cell in job.cells]
    torch.set_num_threads(job.threads)  # after the forks, which must not inherit a pool of threads
    return in_rounds(arms, job.cells, at_once=default_workers(job.cells[0].device))


class ForkedArm:
    """An arm in a fork of this process; after `seconds` of its own turns it is ended."""

    def __init__(self, job: Job, cell: Cell, seconds: float) -> None:
        self.result: CellResult | None = None
        self._cell, self._limit, self._used = cell, seconds, 0.0
        self._oom_kills = oom_kills()
        self._pipe, inner = Pipe()
        self._process = os.fork()
        if not self._process:
            self._pipe.close()
            _serve(inner, job, cell)
        inner.close()

    def ask(self, turn: Turn | None) -> Reading | None:
        """Let the process do a turn and wait for it."""
        start = time.monotonic()
        try:
            self._pipe.send(turn)
            if not self._pipe.poll(max(0.0, self._limit - self._used)):
                self._fail(timed_out(self._limit))
                return None
            reply: CellResult | Reading | None = self._pipe.recv()
        except (EOFError, OSError):
            self._fail(None)
            return None
        finally:
            self._used += time.monotonic() - start
        if not isinstance(reply, CellResult):
            return reply
        self.result = reply
        self._end()
        return None

    def _fail(self, failure: Failure | None) -> None:
        """Set a failed result; None stands for the death of the process."""
        code = self._end()
        failure = failure or died_with(code, self._oom_kills)
        self.result = CellResult.failed(self._cell, describe_machine(), failure, self._used)

    def _end(self) -> int:
        """End the process, unless it has ended by itself, and return its exit code."""
        self._pipe.close()
        if self.result is None:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])


def _serve(pipe: Connection, job: Job, cell: Cell) -> NoReturn:
    """Do the turns that the leader asks for, in the process of the arm."""
    code = 1
    try:
        log_to(job.log(cell))
        torch.set_num_threads(job.threads)
        arm = HereArm(probe_turns(cell, job.backbone))
        while arm.result is None:
            reading = arm.ask(pipe.recv())
            pipe.send(arm.result or reading)
        code = 0
    except BaseException:
        log_traceback()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the exit handlers belong to the leader
