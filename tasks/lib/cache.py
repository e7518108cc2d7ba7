"""A cache of prepared examples: JSON Lines, written atomically, named by a key."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from tasks.base import Example, Splits, TaskError
from tasks.lib.opened import State, note, source_of, states, unchanged, watched

progress = logging.getLogger("tasks.progress")
"""Logs a line before anything that takes long. The harness shows it, workers do not."""

_DIGEST = 32
"""Bytes of the SHA-256 at the beginning of a file, which detects incomplete files."""


def cached(
    name: str,
    key: str,
    build: Callable[[], Splits],
    *,
    watch: bool = True,
    reads_files: bool = True,
    code: Callable[..., Any] | None = None,
    quiet: bool = False,
) -> Splits:
    """Return the cached result of `build` under this key, or build and cache it.

    The folder is $BENCH_LONG_CACHE, else ~/.cache/bench-long. The result is built again if its file
    is incomplete and, with `watch`, if a file changed that Python code read while building, or the
    file that defines `code` (default: `build`). Files read inside a library (pyarrow) or another
    program are not seen. So the result is not cached if `build` reads no file visibly, unless
    `reads_files` is False, which declares that it reads none. Without `watch`, the key must contain
    everything that decides the result.

    Raises:
        TaskError: the folder cannot be written.
    """
    folder = cache_folder(name)
    own = source_of(code or build) if watch else ""
    path = folder / f"{name}-{_short(f'{key} {own}' if watch else key)}.jsonl"
    try:
        return _read(path, watch)
    except (OSError, ValueError, TypeError, KeyError):
        _check_writable(name, folder)
    if not quiet:
        progress.info("%s: its examples are prepared and kept (this time only)", name)
    with watched() as opened:
        splits = build()
    read = {p for p in opened if not Path(p).is_relative_to(folder)} - {own}
    if watch and reads_files and not read:
        _say_not_kept(name)
        return splits
    try:
        _write(path, splits, states([*read, own] if own else [*read]) if watch else None)
    except OSError as error:
        raise unwritable(name, folder, error.strerror) from None
    return splits


@cache
def _say_not_kept(name: str) -> None:
    """Log once why the examples are not cached."""
    progress.info(
        "%s: its examples are not kept, because no file was seen to be read: in `cached`, pass "
        "reads_files=False if it reads none, else watch=False with the data's version in the key",
        name,
    )


def kept(name: str, key: str, make: Callable[[], bytes]) -> bytes:
    """Return the cached bytes of `make` under this key, or make and cache them.

    If the folder cannot be written, they are made at each call.
    """
    try:
        path = cache_folder(name) / f"{name}-{_short(key)}.bin"
    except TaskError:  # no home folder
        return make()
    try:
        found = path.read_bytes()
        if sha256(found[_DIGEST:]).digest() == found[:_DIGEST]:
            return found[_DIGEST:]
    except OSError:
        pass
    data = make()
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(sha256(data).digest() + data)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
    return data


def cache_folder(name: str) -> Path:
    """The cache folder, which need not exist yet.

    Raises:
        TaskError: $BENCH_LONG_CACHE is not set and there is no home folder.
    """
    given = os.environ.get("BENCH_LONG_CACHE")
    try:
        return Path(given).expanduser() if given else Path.home() / ".cache" / "bench-long"
    except RuntimeError:
        raise TaskError(
            f"{name}: there is no home folder for the cache: set $BENCH_LONG_CACHE"
        ) from None


def _short(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _check_writable(name: str, folder: Path) -> None:
    """Check that the folder can be written or made, before minutes of work."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if not there.is_dir():
        raise unwritable(name, folder, f"{there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise unwritable(name, folder, "no permission")


def unwritable(name: str, folder: Path, why: str | None) -> TaskError:
    """The error for a cache folder that cannot be written."""
    return TaskError(
        f"{name}: the cache folder {folder} cannot be written ({why}): set $BENCH_LONG_CACHE to "
        "another"
    )


def _read(path: Path, watch: bool) -> Splits:
    with path.open(encoding="utf-8") as file:
        if watch:
            part, *known = json.loads(file.readline())
            if part != "files" or not unchanged(known):
                raise ValueError(f"{path} was made of other files")
            note(state[0] for state in known)  # for a cache that is built from this one
        return read_lines(file)


def read_lines(lines: Iterable[str]) -> Splits:
    """Return the examples of `lines_of`.

    Raises:
        ValueError: lines are missing at the end, or a line is damaged.
    """
    parts: dict[str, list[Example]] = {name: [] for name in Splits._fields}
    for line in lines:
        part, *fields = json.loads(line)
        if part == "end":
            return Splits(**parts)
        parts[part].append(Example(*map(_tuple, fields)))
    raise ValueError("the end is missing")


def lines_of(splits: Splits) -> Iterator[str]:
    """Yield one line of JSON for each example, and one that marks the end."""
    for name, examples in zip(Splits._fields, splits, strict=True):
        for example in examples:
            yield json.dumps([name, *example]) + "\n"
    yield '["end"]\n'


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _write(path: Path, splits: Splits, known: list[State] | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps two processes from writing to the same file.
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("w", encoding="utf-8") as file:
            if known is not None:
                file.write(json.dumps(["files", *known]) + "\n")
            file.writelines(lines_of(splits))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
