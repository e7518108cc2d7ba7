"""Processes for dry runs and calibrations."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from harness.system.server import fork_server, start_server

_PRELOAD = ("harness.costs.dry_run", "harness.training.peft_wrap")


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes, forked from the server of this process.

    During a run that is the server of its cells, which has torch, transformers and PEFT.
    """
    context = fork_server(_PRELOAD, keep=True)
    start_server()
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_prepare)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _prepare() -> None:
    """Leave Ctrl-C to the parent, use one thread, and exempt libraries from collections."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update({"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"})
    import torch

    import harness.costs.dry_run
    import harness.training.peft_wrap  # noqa: F401

    torch.set_num_threads(1)
    gc.freeze()  # each dry run begins with a collection
