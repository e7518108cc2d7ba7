"""Time limits that hold whatever the code inside does."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from harness.system.lifeline import follow, kill_group


class TimedOut(BaseException):
    """The limit is over. No `Exception`: libraries catch those and go on."""


@contextmanager
def hard_limit(seconds: float) -> Iterator[None]:
    """Raise TimedOut inside after `seconds`, and every second again while something catches it.

    For the main thread of a process. The signal's handler and timer of before are put back.
    """

    def over(signum: int, frame: FrameType | None) -> None:
        raise TimedOut

    before = signal.signal(signal.SIGALRM, over)
    start = time.monotonic()
    left, every = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        while True:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
                break
            except TimedOut:  # rang between the lines above
                continue
        if left:
            rest = max(left - (time.monotonic() - start), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, rest, every)


def in_child(make: Callable[[], str], seconds: float) -> str:
    """Run `make` in a fork of this process and return its text; what it changes stays there.

    After `seconds` the kernel ends the child: no `except:` inside a loop can prevent that. The
    child and all that it started die with this process.

    Raises:
        TimedOut: the time was over.
        RuntimeError: the child died.
    """
    child, status = 0, None
    reader, writer = os.pipe()  # the child sees by it that this process is gone
    try:
        with tempfile.TemporaryFile() as out:
            child = os.fork()
            if not child:
                _be_child(make, seconds, out.fileno(), reader)
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status)
            if code == -signal.SIGALRM:
                raise TimedOut
            if code:
                raise RuntimeError(f"the process that builds the data ended with {code}")
            out.seek(0)
            return out.read().decode()
    finally:
        if child:
            kill_group(child, leader_too=status is None)
            if status is None:
                os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def _be_child(make: Callable[[], str], seconds: float, out: int, parent: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
        # Pipes by which others see that this process's parent is gone must not stay open here.
        start = 3
        for kept in sorted((out, parent)):
            os.closerange(start, kept)
            start = kept + 1
        os.closerange(start, 65536)
        follow(parent)
        text = memoryview(make().encode())
        while text:
            text = text[os.write(out, text) :]
        code = 0
    finally:
        os._exit(code)  # nothing of the parent's is flushed or cleaned up twice
