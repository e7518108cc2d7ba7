"""The interface between the runner and a place where cells run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.core.cell import Cell
from harness.core.result import CellResult, Failure

if TYPE_CHECKING:
    from harness.models.backbones import Backbone


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs to run one cell.

    Attributes:
        log: absolute path of the file that receives the cell's output.
        threads: CPU threads of the cell.
    """

    cell: Cell
    backbone: Backbone
    log: Path
    tasks_dir: Path | None = None
    threads: int = 1


@dataclass(frozen=True)
class Settings:
    """How many cells run at a time, and what each may use.

    Attributes:
        slots: cells at a time.
        cell_seconds: after this time a cell ends with the status `timeout`.
        memory_bytes: data segment of a cell; None for no limit.
    """

    slots: int
    cell_seconds: float
    memory_bytes: int | None = None


class Executor(Protocol):
    """A place that runs jobs. Every submitted job yields exactly one result, also if it fails."""

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


def died(how: str) -> Failure:
    """The failure of a cell whose process ended without a result."""
    return Failure("error", "ProcessDied", f"its process ended without a result: {how}")
