"""The inside of a cell's process: dies with the run, keeps its limits, sends one result back."""

from __future__ import annotations

import fcntl
import json
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

PRELOAD = ["bench_long", "harness.preload"]
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
    _die_with_parent()
    _log_to(job.log)
    import torch

    from harness.cell import run_cell

    torch.set_num_threads(job.threads)
    if job.memory_limit is not None:
        _limit_memory(job.memory_limit)
    machine = {**job.machine, "threads": torch.get_num_threads()}
    result = run_cell(job.cell, job.backbone, machine, job.tasks_dir)
    results.send_bytes(json.dumps(result).encode())


def _die_with_parent() -> None:
    """End this process when the run ends, however that ends and whatever this process is doing.

    The kernel sends the signal when the run's end of a pipe closes: a thread alone would wait for
    as long as a library holds the interpreter's lock. Where there is no such signal (no Linux), the
    thread does it; it also covers a run that ended before this was set up.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    pipe: int = parent.sentinel
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


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
