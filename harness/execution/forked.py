"""The inside of a process that the local executor forks for one cell."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from harness.execution.executor import Job
from harness.system.lifeline import follow

PRELOAD = ["bench_long", "harness.execution.preload"]
"""Modules that the fork server imports once for all cells."""


def main(job: Job, memory_bytes: int | None, results: Connection) -> None:
    """Run one cell and send its result to the process of the run, which alone writes files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run handles Ctrl-C
    parent = multiprocessing.parent_process()
    assert parent is not None
    follow(parent.sentinel)
    # This path to the temporary folder may be valid in the run's process only. $TMPDIR is set.
    getattr(multiprocessing.current_process(), "_config").pop("tempdir", None)  # noqa: B009
    _log_to(job.log)
    from harness.execution.cell_main import run_job

    if memory_bytes is not None:
        _limit_memory(memory_bytes)
    results.send_bytes(run_job(job).model_dump_json().encode())


def _log_to(path: Path) -> None:
    """Append all output of this process, also that of C libraries, to the cell's log.

    Without a writable log the output is dropped: the run reports the same error when it writes the
    result.
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
    """Let allocations beyond `limit` bytes of data fail in this process, not in others."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
