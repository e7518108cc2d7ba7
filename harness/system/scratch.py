"""Temporary folders that are removed later even if their process is killed.

The owner of such a folder locks a file in it. The system releases the locks of a process that died,
so a folder with a free lock has no owner, and the next start removes it.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import process
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput
from harness.system.lifeline import end_server

RUN = "bench-long-run-"
"""Prefix of the folder of a run, in $TMPDIR."""

_LOCK = ".lock"
_LONGEST = 103 - len("/listener-12345678")
"""Most bytes of a folder's path, so that multiprocessing's socket fits (103 on macOS)."""


@contextmanager
def owned_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder in `parent` that is removed at the end, or by the next one of this prefix.

    Raises:
        OSError: `parent` cannot be written.
    """
    folder, lock = _make(parent, prefix)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def _make(parent: Path, prefix: str) -> tuple[Path, int]:
    remove_abandoned(parent, prefix)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = _locked(folder, wait=True)
        if lock is not None:
            return folder, lock


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove folders of this user that `owned_folder` made for processes that have died."""
    name = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")
    try:
        entries = [entry for entry in os.scandir(parent) if name.fullmatch(entry.name)]
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):
            own = entry.stat(follow_symlinks=False).st_uid == os.getuid()
            if not own or not entry.is_dir(follow_symlinks=False):
                continue
            lock = _locked(Path(entry.path), wait=False)
            if lock is not None:
                _remove(Path(entry.path))
                os.close(lock)


def _locked(folder: Path, wait: bool) -> int | None:
    """Return a descriptor that holds the folder's lock; None if it is locked or removed.

    Both sides lock first and then check that the locked file is still in its place. So a folder
    that is just being made is not removed.
    """
    path = folder / _LOCK
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if path.stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        if wait:  # a file system without locks: the folder stays if its owner dies
            return lock
    os.close(lock)
    return None


def _remove(folder: Path) -> None:
    """Remove a folder whose lock is held, with the locked file last."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name == _LOCK:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    Path(entry.path).unlink()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def run_folder() -> Iterator[Path]:
    """Make one folder in $TMPDIR for all temporary files of this process and its children.

    It is removed when this process exits, after libraries have removed their folders in it.

    Raises:
        BadInput: no temporary folder can be written.
    """
    with ExitStack() as stack:
        place = "$TMPDIR"
        try:
            place = tempfile.gettempdir()
            folder, _ = _make(Path(place), RUN)
            atexit.register(_remove, folder)  # after the exit handlers of libraries
            sockets = _short(folder, stack)
        except OSError as error:
            raise BadInput(unwritable(place, error)) from None
        settings: dict[str, Any] = getattr(process.current_process(), "_config")  # noqa: B009
        stack.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
        stack.callback(_restore, os.environ, "TMPDIR", os.environ.get("TMPDIR"))
        stack.callback(_restore, settings, "tempdir", settings.get("tempdir"))
        stack.callback(end_server)  # first: its socket lies in the folder
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        settings["tempdir"] = sockets
        yield folder


def shared_folder() -> Path | None:
    """Return the place of the files that the cells of this run share; None outside a run."""
    folder = Path(tempfile.gettempdir())
    return folder / "shared" if folder.name.startswith(RUN) else None


def unwritable(place: str | Path, error: OSError) -> str:
    """Return the message for a temporary folder that cannot be written."""
    return (
        f"{place}: temporary files cannot be written: {error.strerror or error}: free some space, "
        f"or set $TMPDIR to another folder"
    )


def _short(folder: Path, stack: ExitStack) -> str:
    """Return a path to the folder that is short enough for a socket in it."""
    if len(os.fsencode(folder)) <= _LONGEST:
        return str(folder)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, handle)
    short = f"/proc/self/fd/{handle}"
    if not Path(short).is_dir():
        raise OSError(errno.ENAMETOOLONG, f"the path is {len(os.fsencode(folder))} bytes long")
    return short


def _restore(settings: MutableMapping[str, Any], name: str, value: Any) -> None:
    if value is None:
        settings.pop(name, None)
    else:
        settings[name] = value
