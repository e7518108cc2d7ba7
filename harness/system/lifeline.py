"""Ends the processes of a run when the run ends, however it ends.

Only the run holds the write end of a pipe, and each of its processes holds the read end. When the
run dies, the kernel closes the write end and sends SIGKILL to the process group of each reader.
This needs no Python code, so it also ends a process inside a C library or during its imports.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading
from contextlib import suppress
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any

_VARIABLE = "BENCH_LONG_ALIVE"
"""Environment variable of the fork server: the named pipe whose write end the run holds."""

_held: tuple[Path, int] | None = None


def hold() -> None:
    """Make the named pipe of this run, in multiprocessing's temporary folder, and hold it open.

    On a file system without named pipes, the fork server ends only after its imports.
    """
    global _held
    if _held is not None:
        return
    path = Path(util.get_temp_dir()).resolve() / f"alive-{os.getpid()}"
    with suppress(OSError):
        os.mkfifo(path, 0o600)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a writer needs a reader to open
        try:
            _held = path, os.open(path, os.O_WRONLY)
        finally:
            os.close(reader)
        os.environ[_VARIABLE] = str(path)


def release() -> None:
    """Close the pipe, which ends the processes that follow it. The next `hold` makes a new one."""
    global _held
    if _held is not None:
        path, pipe = _held
        _held = None
        os.environ.pop(_VARIABLE, None)
        os.close(pipe)
        path.unlink(missing_ok=True)


def follow_run() -> None:
    """Give the fork server its own process group, which dies with the run.

    Cells are forked into this group, so a cell is covered before its own code runs. This starts no
    thread, because the server forks.
    """
    path = os.environ.pop(_VARIABLE, None)
    if path is None:
        return
    with suppress(PermissionError):  # a session leader already has a group
        os.setpgid(0, 0)
    try:
        pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        _end()  # the run has ended, and its folder is removed
    else:
        _arm(pipe)


def follow(pipe: int) -> None:
    """Give this process its own group, which dies when the write end of `pipe` closes.

    Its children are in the same group and die with it. Only Linux has this signal: on other systems
    a thread kills the group.
    """
    with suppress(PermissionError):
        os.setpgid(0, 0)
    os.set_blocking(pipe, False)
    _arm(pipe)

    def watch() -> None:
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        poll.poll()
        _end()

    threading.Thread(target=watch, daemon=True).start()


def end_server() -> None:
    """Kill the fork server of this process and close its pipe and socket."""
    server: Any = forkserver._forkserver
    if server._forkserver_pid is not None:
        kill_group(server._forkserver_pid)
        with suppress(OSError):  # its socket may be gone
            server._stop()
    release()


def kill_group(leader: int, leader_too: bool = True) -> None:
    """Kill a process and the living members of the group that it leads or led."""
    if leader_too:
        with suppress(ProcessLookupError):
            os.kill(leader, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _arm(pipe: int) -> None:
    if hasattr(fcntl, "F_SETSIG"):
        leads = os.getpgrp() == os.getpid()
        fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpid() if leads else os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    # The run may have died before the lines above. Nothing is ever written to the pipe.
    with suppress(BlockingIOError):
        if not os.read(pipe, 1):
            _end()


def _end() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
