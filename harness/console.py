"""The terminal: lines that go on when nobody reads them, and a sign while something takes long."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress

from rich.console import Console

_UNBOUNDED = 10_000
"""Characters of a line in a file or a pipe: rows of tables are not wrapped there."""


def make_console() -> Console:
    """The standard output, for lines of a run."""

    class Lasting(Console):
        """A run goes on when the reader of its lines goes away, as `| head` does."""

        def on_broken_pipe(self) -> None:
            with suppress(SystemExit):
                super().on_broken_pipe()

    console = Lasting()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNBOUNDED
    return console


def reading(what: str) -> AbstractContextManager[object]:
    """A sign on the terminal while data is read; none where the output is no terminal."""
    said = f"reading the data of {what} (the first time this may take minutes)"
    return Console(stderr=True).status(said)
