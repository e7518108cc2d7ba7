"""Records the files that a function reads, so that its cached result can be checked."""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

SETTLED = 2.0
"""Seconds after a change of a file until its times are sure to show the next change."""

State = list[Any]
"""[path, size, time of its content, time of its entry, digest]; times in ns, 0 if not settled."""

_watching: list[set[str]] = []


@contextmanager
def watched() -> Iterator[set[str]]:
    """Collect the files and folders that Python code opens in this process, until the end.

    Modules of installed packages do not count, nor does what a library opens by itself.
    """
    _install()
    found: set[str] = set()
    _watching.append(found)
    try:
        yield found
    finally:
        # By identity: two sets may be equal.
        _watching[:] = [other for other in _watching if other is not found]


def note(paths: Iterable[str]) -> None:
    """Record files as opened."""
    for found in _watching:
        found.update(paths)


def states(paths: Sequence[str]) -> list[State]:
    """The states of files, to be compared later; missing files are left out."""
    found = []
    for path in sorted(paths):
        try:
            found.append(_state(path))
        except OSError:
            continue
    return found


def unchanged(known: Sequence[State]) -> bool:
    """Whether all files are unchanged: the same size and times, or else the same content."""
    try:
        return all(_same(state) for state in known)
    except (OSError, IndexError, TypeError, AttributeError):
        return False


def source_of(function: Callable[..., Any]) -> str:
    """The file that defines a function (for a partial, the inner one), or ""."""
    while isinstance(function, partial):
        function = function.func
    try:
        return str(Path(inspect.getsourcefile(function) or "").absolute())
    except TypeError:  # an object that can be called
        return source_of(type(function).__call__) if not inspect.isclass(function) else ""


def _state(path: str) -> State:
    stat = Path(path).stat()
    settled = stat.st_ctime < time.time() - SETTLED
    times = [stat.st_mtime_ns, stat.st_ctime_ns] if settled else [0, 0]
    return [path, stat.st_size, *times, _digest(Path(path))]


def _same(state: State) -> bool:
    path, *known, digest = state
    stat = Path(path).stat()
    now = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    return now == known or bool(_digest(Path(path)) == digest)


def _digest(path: Path) -> str:
    """A digest of a file's content, or of the names in a folder."""
    if path.is_dir():
        names = b"\0".join(sorted(os.fsencode(entry.name) for entry in path.iterdir()))
        return hashlib.sha256(names).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _install() -> None:
    sys.addaudithook(_hook)  # cannot be removed; does nothing while nobody watches


@cache
def _installed() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({sysconfig.get_path(name) + os.sep for name in names})


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _watching or event not in ("open", "os.scandir", "os.listdir", "sqlite3.connect"):
        return
    path = args[0]
    if not isinstance(path, str | bytes | os.PathLike):
        return
    if event == "open" and _writes(*args[1:3]):
        return
    place = str(Path(os.fsdecode(path)).absolute())
    if place.startswith(("/proc/", "/dev/", "/sys/")):
        return
    if place.endswith((".py", ".pyc")) and place.startswith(_installed()):
        return
    if event != "open" and place.startswith(_installed()):
        return
    note([place])


def _writes(mode: Any = None, flags: Any = 0) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax")
    return isinstance(flags, int) and flags & os.O_ACCMODE == os.O_WRONLY
