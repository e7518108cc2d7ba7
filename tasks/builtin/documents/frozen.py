"""Frozen examples: the examples of a task in one compressed file, for machines without its source.

The folder $BENCH_LONG_FROZEN has one file for each frozen task, `<task>.jsonl.xz`. The first line
is the version of the data, the others are those of the cache. Examples read from it have the
version that they had where the file was written.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path

from tasks.base import Splits, TaskError
from tasks.lib.cache import lines_of, read_lines
from tasks.lib.content import splits_digest
from tasks.lib.places import named_folder

FOLDER = "BENCH_LONG_FROZEN"
"""The environment variable that names the folder."""


def frozen_file(task: str) -> Path | None:
    """Return the task's frozen file; None if there is none.

    Raises:
        TaskError: the variable names no folder.
    """
    folder = named_folder(task, FOLDER, "frozen examples")
    path = folder / f"{task}.jsonl.xz" if folder else None
    return path if path and path.is_file() else None


def freeze(task: str, revision: str, splits: Splits, folder: Path) -> Path:
    """Write the examples of a task, and return the file."""
    path = folder / f"{task}.jsonl.xz"
    folder.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wt", encoding="utf-8", preset=6) as file:
        file.write(json.dumps(revision) + "\n")
        file.writelines(lines_of(splits))
    return path


def frozen_revision(task: str, path: Path) -> str:
    """Return the version of the data in a frozen file.

    Raises:
        TaskError: it is damaged.
    """
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            return str(json.loads(file.readline()))
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise _damaged(task, path, str(error)) from None


def thawed(task: str, path: Path, digest: str) -> Splits:
    """Read a frozen file and check the digest of its examples.

    Raises:
        TaskError: it is damaged, or has other examples.
    """
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            file.readline()
            splits = read_lines(file)
    except (OSError, EOFError, ValueError, TypeError, KeyError, lzma.LZMAError) as error:
        raise _damaged(task, path, str(error)) from None
    found = splits_digest(splits)
    if found != digest:
        raise _damaged(task, path, f"the digest of its examples is {found}, expected {digest}")
    return splits


def _damaged(task: str, path: Path, why: str) -> TaskError:
    return TaskError(
        f"{task}: {path} (from ${FOLDER}) cannot be used: {why}: write it again with "
        f"`make gpu-pack`, or unset ${FOLDER}"
    )
