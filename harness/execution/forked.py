"""The inside of a process that the local executor forks for a job."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from harness.execution.executor import RESULTS, Job, Settings
from harness.system.lifeline import follow

PRELOAD = ["bench_long", "harness.execution.preload"]
"""Modules that the fork server imports once for all cells."""


def main(job: Job, settings: Settings, results: Connection) -> None:
    """Run a job and send its results to the process of the run, which alone writes files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run handles Ctrl-C
    parent = multiprocessing.parent_process()
    assert parent is not None
    follow(parent.sentinel)
    # This path to the temporary folder may be valid in the run's process only. $TMPDIR is set.
    getattr(multiprocessing.current_process(), "_config").pop("tempdir", None)  # noqa: B009
    see_gpus(job)
    log_to(job.log(job.cells[0]))
    from harness.execution.cell_main import run_job
    from harness.execution.timing_group import run_group

    if settings.memory_bytes is not None:
        _limit_memory(settings.memory_bytes)
    found = run_group(job, settings.cell_seconds) if job.timed else run_job(job)
    results.send_bytes(RESULTS.dump_json(found))


def see_gpus(job: Job) -> None:
    """Let this process see the job's GPUs only. CUDA has not been started in it."""
    if job.gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = job.gpus


def log_to(path: Path) -> None:
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
