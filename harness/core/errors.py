"""Errors for the user: one printable line that says what is wrong, where, and what to do."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable

from harness.core.hints import elsewhere, without
from harness.core.hints import similar as similar


class BadInput(Exception):
    """Input that cannot be run. The command line prints each argument on its own line; exit 2."""


def printable(text: str) -> str:
    """Return the text with control characters escaped, so that it cannot move a cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?`, the reason why there is no such name, or the known names."""
    names = sorted(str(k) for k in known)
    if why := without(name, names):
        return f" {why}"
    meant = elsewhere(name, names) or similar(name, names)
    return f" Did you mean '{meant}'?" if meant else f" There is: {', '.join(names)}."


def one_line(error: BaseException) -> str:
    """Return the first line of an error's message, printable and at most 300 characters long."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return printable(lines[0][:300])


def log_traceback() -> None:
    """Write the traceback of the current exception to standard error, a worker's log."""
    for line in traceback.format_exc().splitlines():
        print(printable(line[:1000]), file=sys.stderr, flush=True)
