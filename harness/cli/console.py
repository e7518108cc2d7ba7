"""The terminal: lines that go on when nobody reads them, and a sign while something takes long."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.text import Text

from tasks.base import printable

_UNBOUNDED = 10_000
"""Characters of a line in a file or a pipe: rows of tables are not wrapped there."""


def make_console(stderr: bool = False) -> Console:
    """The standard output (or error), for lines of a run.

    Markup, emoji codes and highlighting are off: names, paths and messages are printed as they are,
    and a folder `[old]` stays one. Use `coloured` for colours.
    """

    class Lasting(Console):
        """A run goes on when the reader of its lines goes away, as `| head` does."""

        def on_broken_pipe(self) -> None:
            with suppress(SystemExit):
                super().on_broken_pipe()

    console = Lasting(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNBOUNDED
    return console


def coloured(*parts: str | tuple[str, str]) -> Text:
    """One line of plain parts and (text, style) pairs; control characters are escaped."""
    plain = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((printable(text), style) for text, style in plain))


@contextmanager
def reading(what: str) -> Iterator[None]:
    """A sign on the terminal while data is read, and a line for each step that takes long.

    The lines, which tasks send to the logger `tasks.progress`, are also shown where the standard
    error is no terminal.
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
