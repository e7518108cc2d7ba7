"""What pins data that has no commit: a checksum of the files as they are."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.base import TaskError
from tasks.lib.cache import kept, progress
from tasks.lib.opened import SETTLED

LARGE = 1_000_000_000
"""Bytes that take so long to read that it is said."""


def pin(task: str, files: Sequence[Path], folder: Path) -> str:
    """Return `files:` and a checksum of these files' names within a folder and of their contents.

    Raises:
        TaskError: one cannot be read; the task's name stands in the message.
    """

    def read() -> bytes:
        size = sum(path.stat().st_size for path in files)
        if size > LARGE:
            progress.info(
                "%s: %d files, %.1f GB, are read for a checksum", task, len(files), size / 1e9
            )
        whole = hashlib.sha256()
        for path in files:
            whole.update(os.fsencode(path.relative_to(folder)) + b"\0" + _digest(path))
        return whole.digest()

    try:
        return f"files:{once('pin', files, read, str(folder.absolute())).hex()[:16]}"
    except OSError as error:
        raise TaskError(f"{task}: {error.filename} cannot be read: {error.strerror}") from None


def once(name: str, files: Sequence[Path], make: Callable[[], bytes], key: str = "") -> bytes:
    """Return what `make` makes of these files, kept until one of them has another size or time.

    `key` holds what else decides the content.
    """
    stats = [path.stat() for path in files]
    if max((stat.st_ctime for stat in stats), default=0.0) > time.time() - SETTLED:
        return make()  # two changes within a tick of the clock leave the same times
    states = [
        # The time of change is set by the system alone: archives and copies set the other.
        f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        for path, stat in zip(files, stats, strict=True)
    ]
    return kept(name, "\n".join([key, *states]), make)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
