"""The fork server of this process: it imports libraries once, and processes are forked from it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

from harness.system.lifeline import hold

_LIBRARIES = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # A library that asks for GPUs when it is imported must not start CUDA in the fork server.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
}
"""Environment of the server: libraries read it when they are imported."""


_chosen: tuple[str, ...] = ()


def fork_server(preload: Sequence[str], keep: bool = False) -> ForkServerContext:
    """Return the context of the server.

    Args:
        preload: modules that it imports when it starts.
        keep: modules that were chosen before stay.
    """
    global _chosen
    context = multiprocessing.get_context("forkserver")
    if not (keep and _chosen):
        _chosen = tuple(preload)
        context.set_forkserver_preload([*preload])
    return context


def start_server() -> None:
    """Start the server, if it does not run. It dies with this process.

    Raises:
        OSError, EOFError: the system starts no process.
    """
    os.environ.update(_LIBRARIES)
    hold()
    resource_tracker.ensure_running()  # before the block: starting it unblocks SIGINT
    # The server and its children inherit the block: this process alone handles Ctrl-C.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
