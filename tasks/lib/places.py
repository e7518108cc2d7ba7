"""Folders that the user names in a variable: taken as they are said, or refused by name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from tasks.base import TaskError

SAME = 0.9
"""Similarity (difflib's ratio) from which on a folder's name is a misspelt repository."""


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


def misspelt(folder: Path, repository: str, known: Iterable[str]) -> str | None:
    """Return the `owner/name` of a folder that is spelt nearly as a repository; None if none is.

    Folders of other known repositories do not count.
    """
    others = set(known)
    found = [
        name
        for place in sorted(folder.glob("*/*"))
        if place.is_dir() and (name := f"{place.parent.name}/{place.name}") not in others
    ]
    lower = {name.lower(): name for name in found}
    close = difflib.get_close_matches(repository.lower(), list(lower), n=1, cutoff=SAME)
    return lower[close[0]] if close else None
