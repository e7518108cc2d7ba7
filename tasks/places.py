"""Folders that the user names in a variable: taken as they are said, or refused by name."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.base import TaskError


def named_path(variable: str) -> Path | None:
    """The path that a variable names, `~` expanded; None where it is not set, or empty."""
    given = os.environ.get(variable)
    if not given:
        return None
    try:
        return Path(given).expanduser()
    except RuntimeError:  # ~ without a home folder: nothing is there
        return Path(given)


def named_folder(task: str, variable: str, expected: str) -> Path | None:
    """The folder that a variable names, or None where it is not set.

    `expected` says what the folder is to hold.

    Raises:
        TaskError: it is no folder. It is mistyped, and data from elsewhere is not taken for it.
    """
    path = named_path(variable)
    if path and not path.is_dir():
        raise TaskError(
            f"{task}: {path} (from ${variable}) is no folder: name the one that holds {expected}, "
            f"or unset ${variable}"
        )
    return path


def nearby(folder: Path, place: str) -> str:
    """Return ` (did you mean …?)` if a folder above or below holds the place; "" if none does."""
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir())[:100]
    except OSError:
        below = []
    absolute = folder.absolute()
    for path in (*list(absolute.parents)[:2], *below):
        if (path / place).is_dir():
            return f" (did you mean {path}?)"
    return ""
