"""Time limits that code inside them cannot prevent."""

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
    """The time is over. Not an `Exception`, because libraries catch those and continue."""


@contextmanager
def hard_limit(seconds: float) -> Iterator[None]:
    """Raise TimedOut inside after `seconds`, and again every second while code catches it.

    Works in the main thread. The earlier signal handler and timer are restored.
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
            except TimedOut:  # it fired between the lines above
                continue
        if left:
            rest = max(left - (time.monotonic() - start), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, rest, every)


def in_child(make: Callable[[], str], seconds: float) -> str:
    """Run `make` in a fork of this process and return its text. This process stays unchanged.

    After `seconds` the kernel ends the child, even inside a loop with a bare `except:`. The child
    and its children die with this process.

    Raises:
        TimedOut: it took longer than `seconds`.
        RuntimeError: the child died.
    """
    child, status = 0, None
    reader, writer = os.pipe()  # it closes when this process dies
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
        # Pipes that signal the death of the parent to other processes must not stay open here.
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
        os._exit(code)  # the parent flushes its buffers and runs its exit handlers
