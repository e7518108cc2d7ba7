"""The README's table of tasks, made from their metadata: `python -m tasks.table README.md`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from tasks.base import TaskMetadata
from tasks.lib.rows import SCHEMA_ONLY
from tasks.registry import discover

BEGIN, END = "<!-- tasks: written by `make format` -->\n", "<!-- end of tasks -->\n"
"""What the table stands between."""

_HEAD = ("task", "family", "what", "source", "licence", "lengths (tokens)", "checked on")


def task_table(metadata: Iterable[TaskMetadata] | None = None) -> str:
    """Return a Markdown table, one line a task, by name; of all plug-ins of this folder if none.

    The last column says whether the tests have read the task's real data.
    """
    if metadata is None:
        metadata = [task.metadata for task in discover().values()]
    rows = [_HEAD, ("---",) * len(_HEAD)]
    for task in sorted(metadata, key=lambda task: task.name):
        rows.append(
            (
                f"`{task.name}`",
                task.family,
                task.title,
                task.source,
                task.licence,
                ", ".join(map(str, task.lengths)),
                "its schema only" if SCHEMA_ONLY in task.description else "real data",
            )
        )
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def with_table(document: str, table: str) -> str:
    """Return the document with this table in the place of its own.

    Raises:
        ValueError: the lines that it stands between are not there, once and in this order.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"expected one line {BEGIN.strip()!r} and, after it, {END.strip()!r}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Write the table into a document, or see whether it is there as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tasks.table", description=main.__doc__)
    parser.add_argument("document", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it differs")
    options = parser.parse_args(arguments)
    text = options.document.read_text(encoding="utf-8")
    try:
        new = with_table(text, task_table())
    except ValueError as error:
        print(f"{options.document}: {error}", file=sys.stderr)
        return 2
    if new != text and options.check:
        print(f"{options.document}: the table of tasks is an old one: make format", file=sys.stderr)
        return 1
    if new != text:
        options.document.write_text(new, encoding="utf-8")
    return 0


def _cell(text: str) -> str:
    """One cell: neither a line's end nor a bar of the text's own may end it, nor HTML begin."""
    flat = " ".join(text.split()).replace("\\", "\\\\")
    return flat.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    raise SystemExit(main())
