"""The terminal: consoles that survive a closed pipe, and a sign of progress while data is read."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.text import Text

from tasks.base import printable

_UNBOUNDED = 10_000
"""Width in a file or a pipe, so that rows of tables are not wrapped."""


def make_console(stderr: bool = False) -> Console:
    """Return a console on standard output (or error).

    Markup, emoji codes and highlighting are off, because names may look like them (`[old]`). Use
    `coloured` for colours.
    """

    class Lasting(Console):
        """A run continues when the reader of its output ends, as in `| head`."""

        def on_broken_pipe(self) -> None:
            with suppress(SystemExit):
                super().on_broken_pipe()

    console = Lasting(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNBOUNDED
    return console


def coloured(*parts: str | tuple[str, str]) -> Text:
    """Return one line from texts and (text, style) pairs; control characters are escaped."""
    plain = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((printable(text), style) for text, style in plain))


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Show a sign of progress while data is read, and a line for each long step.

    Tasks send these lines to the logger `tasks.progress`. They are also shown without a terminal.
    """
    said = f"reading the data of {what} (the first time this may take minutes)"
    console = make_console(stderr=True)

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.print(printable(record.getMessage()))

    logger, handler = logging.getLogger("tasks.progress"), Shown()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        with console.status(Text(printable(said))):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
