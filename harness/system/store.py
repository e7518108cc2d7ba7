"""Files that the cells of a run share: each is computed by one process and read by the others."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from harness.system.scratch import shared_folder

MOST_BYTES = 2 * 2**30
"""Largest size of all files of a run together."""

_FREE_SHARE = 0.25
"""Largest share of the free disk space that one file may take."""


class Store:
    """A folder of files by key. The run's temporary folder holds it and is removed with it.

    A file appears under its name when it is complete. While one process computes it, others that
    want it wait. If that process is killed, the system releases its lock, and the next one starts
    again.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def file(self, key: str, size: int, write: Callable[[BinaryIO], None]) -> Path | None:
        """Return the file of a key, written first if there is none; None if there is no room.

        Args:
            key: decides the content, and is a valid file name.
            size: of the content in bytes, as far as it is known before.
            write: writes the content; may not be called. Its exceptions other than OSError pass.
        """
        path = self._folder / key
        try:
            self._folder.mkdir(exist_ok=True)
            with _locked(path.with_suffix(".lock")):
                return path if path.is_file() else self._written(path, size, write)
        except OSError:  # a full disk: callers compute without a file
            return None

    def _written(self, path: Path, size: int, write: Callable[[BinaryIO], None]) -> Path | None:
        used = sum(map(_size, self._folder.iterdir()))
        free = shutil.disk_usage(self._folder).free
        if used + size > self._most_bytes or size > free * _FREE_SHARE:
            return None
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                file.truncate(size)  # now it counts for other processes
                write(file)
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return path


def run_store() -> Store | None:
    """Return the store of this run; None outside a run."""
    folder = shared_folder()
    return None if folder is None else Store(folder)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # renamed by its writer since the folder was listed
        return 0


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
