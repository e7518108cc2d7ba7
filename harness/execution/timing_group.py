"""A timing group in processes: the leader forks one process for each arm and gives them turns.

The arms belong to the process group of the leader. So they pause with it, and they end with the
run, however it ends. An arm that dies or exceeds its time fails alone.

All arms hold memory at the same time. An arm that found too little beside the others runs again
alone. Arms that may need more together than is free are prepared one at a time and return what they
do not hold after each turn. Large models on a GPU run one after another. The leader never uses CUDA
or threads of PyTorch, because a process that has used them cannot fork another that does.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

import psutil
import torch

from harness.core.cell import Cell
from harness.core.errors import log_traceback
from harness.core.result import CellResult, Failure
from harness.execution.cell_main import probe_turns
from harness.execution.executor import Job, died_with, timed_out
from harness.execution.forked import log_to
from harness.models.load import load_skeleton
from harness.system.machine import describe_machine
from harness.system.resources import default_workers, oom_kills
from harness.training.meter import return_memory
from harness.training.timing import (
    HereArm,
    Reading,
    Turn,
    in_rounds,
    new_group,
    peak_flops_per_s,
)

TOGETHER = 8 * 2**30
"""Bytes of the weights of all arms up to which the arms of a group share a GPU."""

_PATIENCE = 120.0
"""Seconds for the measurement of the largest speed, which takes about one."""


def run_group(job: Job, cell_seconds: float) -> list[CellResult]:
    """Run the cells of a job in turns, each in a process of its own."""
    on_gpu = job.cells[0].device == "cuda"
    crowded = not on_gpu and _crowded(job)
    at_once = 1 if on_gpu or crowded else default_workers("cpu")
    group = new_group()
    peak = _in_fork(lambda cell: _peak(job, cell), job.cells[0]) or 0.0

    def run(*cells: Cell) -> list[CellResult]:
        arms = [ForkedArm(job, cell, cell_seconds, crowded) for cell in cells]
        return in_rounds(arms, cells, at_once=min(at_once, len(cells)), peak=peak, group=group)

    if len(job.cells) == 1 or (on_gpu and weights_bytes(job) > TOGETHER):
        return [result for cell in job.cells for result in run(cell)]
    results = run(*job.cells)
    return [run(r.cell)[0] if r.status == "oom" else r for r in results]


def _crowded(job: Job) -> bool:
    """Whether the arms may need more memory together than is free."""
    return (job.memory or 0) > psutil.virtual_memory().available


def _peak(job: Job, cell: Cell) -> float:
    torch.set_num_threads(job.threads)
    return peak_flops_per_s(cell)


def weights_bytes(job: Job) -> int:
    """Return the bytes of the weights of all arms in float32; 0 if the model cannot be built."""
    cell = job.cells[0]
    try:
        model = load_skeleton(job.backbone, cell.positions, cell.uses_lm_head)
    except Exception:  # any error of the model's code: each arm will report it
        return 0
    parameters = sum(int(p.numel()) for p in model.parameters())
    return 4 * len(job.cells) * parameters


def _in_fork(run: Callable[[Cell], float], cell: Cell) -> float | None:
    """Return what a function returns in a process of its own; None if it fails or hangs."""
    outer, inner = Pipe(duplex=False)
    process = os.fork()
    if not process:
        try:
            inner.send(run(cell))
        except BaseException:
            log_traceback()
        finally:
            os._exit(0)
    inner.close()
    try:
        return float(outer.recv()) if outer.poll(_PATIENCE) else None
    except EOFError:
        return None
    finally:
        outer.close()
        os.kill(process, signal.SIGKILL)  # it may hang: forks of a process with threads can
        os.waitpid(process, 0)


class ForkedArm:
    """An arm in a fork of this process; after `seconds` of its own turns it is ended."""

    def __init__(self, job: Job, cell: Cell, seconds: float, crowded: bool) -> None:
        self.result: CellResult | None = None
        self._cell, self._limit, self._used = cell, seconds, 0.0
        self._oom_kills = oom_kills()
        self._pipe, inner = Pipe()
        self._process = os.fork()
        if not self._process:
            self._pipe.close()
            _serve(inner, job, cell, crowded)
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


def _serve(pipe: Connection, job: Job, cell: Cell, crowded: bool) -> NoReturn:
    """Do the turns that the leader asks for, in the process of the arm."""
    code = 1
    try:
        log_to(job.log(cell))
        torch.set_num_threads(job.threads)
        arm = HereArm(probe_turns(cell, job.backbone))
        while arm.result is None:
            reading = arm.ask(pipe.recv())
            if crowded:
                return_memory()
            pipe.send(arm.result or reading)
        code = 0
    except BaseException:
        log_traceback()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the exit handlers belong to the leader
