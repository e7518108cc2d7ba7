"""The inside of a cell's process: dies with the run, keeps its limits, sends one result back."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness.cells import Cell

PRELOAD = ["harness.preload"]
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
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _log_to(job.log)
    import torch

    from harness.cell import run_cell

    torch.set_num_threads(job.threads)
    if job.memory_limit is not None:
        _limit_memory(job.memory_limit)
    machine = {**job.machine, "threads": torch.get_num_threads()}
    results.send(run_cell(job.cell, job.backbone, machine, job.tasks_dir))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)


def _log_to(path: Path) -> None:
    """Send this process's output, libraries' included, to the cell's log (appended)."""
    file = path.open("a", encoding="utf-8", buffering=1)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)


def _limit_memory(limit: int) -> None:
    """Let allocations beyond `limit` bytes of data fail in the cell, not in its neighbours."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
