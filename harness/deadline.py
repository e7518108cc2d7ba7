"""Time limits that hold whatever the code inside does."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType


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

    After `seconds` the kernel ends the child: no `except:` inside a loop can prevent that.

    Raises:
        TimedOut: the time was over.
        RuntimeError: the child died.
    """
    handle, name = tempfile.mkstemp(prefix="bench-long-")
    os.close(handle)
    parent = os.getpid()
    child = 0
    try:
        child = os.fork()
        if not child:
            _be_child(make, seconds, Path(name), parent)
        _, status = os.waitpid(child, 0)
        child = 0
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGALRM:
            raise TimedOut
        if code:
            raise RuntimeError(f"the process that builds the data ended with {code}")
        return Path(name).read_text(encoding="utf-8")
    finally:
        if child:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        Path(name).unlink(missing_ok=True)


def _be_child(make: Callable[[], str], seconds: float, out: Path, parent: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
        # Pipes by which others see that this process's parent is gone must not stay open here.
        os.closerange(3, 65536)

        def follow() -> None:
            while os.getppid() == parent:
                time.sleep(0.5)
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
        out.write_text(make(), encoding="utf-8")
        code = 0
    finally:
        os._exit(code)  # nothing of the parent's is flushed or cleaned up twice
