"""The interface between the runner and a place where cells run."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import TypeAdapter

from harness.core.cell import Cell
from harness.core.result import CellResult, Failure
from harness.kept.rules import Keeping
from harness.system.resources import oom_kills
from tasks import OwnTasks

if TYPE_CHECKING:
    from harness.models.backbones import Backbone


RESULTS = TypeAdapter(list[CellResult])
"""Sends the results of a job between processes, as JSON."""


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs to run one cell, or the cells of a timing group in turns.

    Attributes:
        cells: one training cell, or all probes of a timing group (`jobs.py`).
        logs: absolute path of the folder that receives the output of each cell.
        threads: CPU threads of each cell.
        keeping: what is kept beside the results; None: nothing.
        memory: bytes of memory that the job is predicted to need; None if unknown.
        gpus: value of `CUDA_VISIBLE_DEVICES` in its process; None leaves it as it is.
    """

    cells: tuple[Cell, ...]
    backbone: Backbone
    logs: Path
    own_tasks: OwnTasks | None = None
    threads: int = 1
    keeping: Keeping | None = None
    memory: int | None = None
    gpus: str | None = None

    @property
    def timed(self) -> bool:
        """Whether its cells are timed, so that nothing else may run beside it."""
        return self.cells[0].kind == "probe"

    def log(self, cell: Cell) -> Path:
        """Return the file that receives the output of a cell."""
        return self.logs / f"{cell.id}.log"

    def limit(self, cell_seconds: float) -> float:
        """Return the seconds after which the whole job ends.

        A group has the time of each of its cells, which take turns, and one share more, because
        a cell that reaches its own limit ends before the group does.
        """
        return cell_seconds * (len(self.cells) + (len(self.cells) > 1))


@dataclass(frozen=True)
class Settings:
    """How many jobs run at a time, and what each cell may use.

    Attributes:
        slots: jobs at a time; a timing group runs alone.
        cell_seconds: after this time a cell ends with the status `timeout`. Of a cell in a timing
            group, the turns of the others do not count.
        memory_bytes: data segment of a cell; None for no limit.
    """

    slots: int
    cell_seconds: float
    memory_bytes: int | None = None


class Executor(Protocol):
    """A place that runs jobs. Every job yields one result for each of its cells, also if it fails.

    The results of a job come together.
    """

    slots: int
    """Jobs at a time. The runner submits no more than this."""

    def submit(self, job: Job) -> None:
        """Start a job and return at once.

        Raises:
            BadInput: no job can be started here.
        """

    def finished(self, timeout: float) -> list[CellResult]:
        """Return the results of jobs that ended, after at most `timeout` seconds of waiting."""

    def pause(self) -> None:
        """Suspend the running jobs, as far as this executor can (Ctrl-Z)."""

    def resume(self) -> None:
        """Continue the jobs that `pause` suspended."""

    def stop(self) -> None:
        """End all running jobs without results and leave no process behind."""


def timed_out(limit: float) -> Failure:
    """The failure of a cell that ran longer than `limit` seconds."""
    return Failure("timeout", "CellTimeout", f"ended after {limit:g} s, its limit")


def died_with(code: int | None, oom_kills_before: int) -> Failure:
    """The failure of a cell whose process ended with this exit code, negative for a signal."""
    if code == -signal.SIGKILL and oom_kills() > oom_kills_before:
        return Failure("oom", "KilledForMemory", "the system ended it: out of memory")
    return died(
        f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    )


def died(how: str) -> Failure:
    """The failure of a cell whose process ended without a result."""
    return Failure("error", "ProcessDied", f"its process ended without a result: {how}")
