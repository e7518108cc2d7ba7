"""What the user did wrong, said in one line: what, where, what to do."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable

from harness.planning.hints import elsewhere, without
from harness.planning.hints import similar as similar
from tasks.base import printable as printable


class BadInput(Exception):
    """Input that cannot be run. The command line prints its arguments, a line each: exit 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?`, why there is no such name, or the list of what there is."""
    names = sorted(str(k) for k in known)
    if why := without(name, names):
        return f" {why}"
    meant = elsewhere(name, names) or similar(name, names)
    return f" Did you mean '{meant}'?" if meant else f" There is: {', '.join(names)}."


def told(error: BaseException) -> str:
    """What a library's or a plug-in's error says, in one printable line of bounded length."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0][:300])


def log_traceback() -> None:
    """Write the traceback of what is being handled to standard error, a worker's log.

    Printable: an error may quote what stands in a text or in the name of a file.
    """
    for line in traceback.format_exc().splitlines():
        print(printable(line[:1000]), file=sys.stderr, flush=True)
