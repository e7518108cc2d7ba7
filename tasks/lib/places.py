"""Folders named in environment variables, with hints for mistyped ones."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

from tasks.base import TaskError

SAME = 0.9
"""Least similarity (difflib's ratio) of a folder name that is a misspelt repository."""


def named_path(variable: str) -> Path | None:
    """The path in a variable, with `~` expanded; None if it is not set or empty."""
    given = os.environ.get(variable)
    if not given:
        return None
    try:
        return Path(given).expanduser()
    except RuntimeError:  # ~ without a home folder
        return Path(given)


def named_folder(task: str, variable: str, expected: str) -> Path | None:
    """The folder in a variable, or None if it is not set.

    `expected` is the expected content, for the message.

    Raises:
        TaskError: it is not a folder. Data from elsewhere is not used instead.
    """
    path = named_path(variable)
    if path and not path.is_dir():
        raise TaskError(
            f"{task}: {path} (from ${variable}) is no folder: set it to one with {expected}, "
            f"or unset ${variable}"
        )
    return path


def nearby(folder: Path, place: str) -> str:
    """Return ` (did you mean …?)` if a folder above or below contains `place`, else ""."""
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
    """Return the `owner/name` of a folder with nearly the repository's name, or None.

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
