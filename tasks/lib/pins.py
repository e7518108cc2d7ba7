"""Checksums of data files, the version of data that has no commit."""

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
"""Bytes from which on reading takes long enough to log it."""


def pin(task: str, files: Sequence[Path], folder: Path) -> str:
    """Return `files:` and a checksum of these files' names, relative to a folder, and contents.

    Raises:
        TaskError: one cannot be read.
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
    """Return the result of `make`, cached until the size or a time of one of the files changes.

    `key` contains everything else that decides the result.
    """
    stats = [path.stat() for path in files]
    if max((stat.st_ctime for stat in stats), default=0.0) > time.time() - SETTLED:
        return make()  # two changes within one clock tick have the same times
    states = [
        # Archives and copies set mtime; only the system sets ctime.
        f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        for path, stat in zip(files, stats, strict=True)
    ]
    return kept(name, "\n".join([key, *states]), make)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
