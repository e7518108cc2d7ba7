"""The inside of a cell's process: dies with the run, keeps its limits, sends one result back."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness.core.cell import Cell
from harness.execution.lifeline import follow

PRELOAD = ["bench_long", "harness.execution.preload"]
"""What the fork server imports once, so that no cell pays for it."""


@dataclass(frozen=True)
class Job:
    """All that a worker is told."""

    cell: Cell
    backbone: Path
    machine: dict[str, Any]
    log: Path
    memory_limit: int | None
    tasks_dir: Path | None
    threads: int


def work(job: Job, results: Connection) -> None:
    """Run one cell and send its result; the parent alone writes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = multiprocessing.parent_process()
    assert parent is not None
    follow(parent.sentinel)
    # The run may know its folder by a name that holds in the run's process only ($TMPDIR is set).
    getattr(multiprocessing.current_process(), "_config").pop("tempdir", None)  # noqa: B009
    _log_to(job.log)
    import torch

    from harness.execution.cell_main import run_cell

    torch.set_num_threads(job.threads)
    if job.memory_limit is not None:
        _limit_memory(job.memory_limit)
    machine = {**job.machine, "threads": torch.get_num_threads()}
    result = run_cell(job.cell, job.backbone, machine, job.tasks_dir)
    results.send_bytes(result.model_dump_json().encode())


def _log_to(path: Path) -> None:
    """Send this process's output, libraries' included, to the cell's log (appended).

    A log that cannot be written is done without: the run will find the same when it writes the
    result, and say so.
    """
    try:
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError:
        log = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)


def _limit_memory(limit: int) -> None:
    """Let allocations beyond `limit` bytes of data fail in the cell, not in its neighbours."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
