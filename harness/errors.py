"""What the user did wrong, said in one line: what, where, what to do."""

from __future__ import annotations

import difflib
import sys
import traceback
from collections.abc import Iterable, Mapping

from tasks.base import SIMILAR
from tasks.base import printable as printable


class BadInput(Exception):
    """Input that cannot be run. The command line prints its arguments, a line each: exit 2."""


def nearest(name: str, known: Iterable[str], aliases: Mapping[str, str] | None = None) -> str:
    """Return ` Did you mean 'x'?` or the list of what there is.

    Args:
        name: what the user wrote.
        known: the valid names.
        aliases: names from other tools, with what to write here. They come before similar
            spellings: `dora` is spelt like `delora`, which is another method.
    """
    names = sorted(str(k) for k in known)
    meant = (aliases or {}).get(str(name).strip().lower()) or similar(name, names)
    return f" Did you mean '{meant}'?" if meant else f" There is: {', '.join(names)}."


def similar(name: str, known: Iterable[str]) -> str | None:
    """Return the valid name that is spelt most like `name`; None where none is near."""
    close = difflib.get_close_matches(str(name).strip().lower(), list(known), n=1, cutoff=SIMILAR)
    return close[0] if close else None


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
