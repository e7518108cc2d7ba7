"""Markdown pages that are generated from the code: their tables, and a command that writes them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def page_command(name: str, page: Callable[[], str], arguments: list[str] | None = None) -> int:
    """Write a page to the file of the command line; with `--check`, compare it only.

    Args:
        name: of the module that is the command.
        page: makes the text.
        arguments: of the command line.

    Returns:
        The exit code: 1 if the file differs and `--check` is given.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    parser.add_argument("page", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it differs")
    options = parser.parse_args(arguments)
    file: Path = options.page
    new = page()
    old = file.read_text(encoding="utf-8") if file.exists() else ""
    if new == old:
        return 0
    if options.check:
        print(f"{file}: not up to date with the code: run `make format`", file=sys.stderr)
        return 1
    file.write_text(new, encoding="utf-8")
    return 0


def _cell(text: str) -> str:
    """Escape what would end a table cell or start HTML."""
    flat = " ".join(text.split()).replace("\\", "\\\\")
    return flat.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")
