"""Prepared examples on disk: JSON lines, written whole or not at all, named by what made them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from tasks.base import Example, Splits, TaskError

_DIGEST = 32
"""Bytes before what is kept: its SHA-256, by which a file that is not whole is known."""


def cached(name: str, key: str, build: Callable[[], Splits]) -> Splits:
    """Return what `build` returned under this key before, or build and keep it.

    The folder is $BENCH_LONG_CACHE, else ~/.cache/bench-long. A file that is not whole is made
    again. `key` must hold everything that decides the content.

    Raises:
        TaskError: the folder cannot be written.
    """
    path = cache_folder(name) / f"{name}-{sha256(key.encode()).hexdigest()[:16]}.jsonl"
    try:
        return _read(path)
    except (OSError, ValueError, TypeError, KeyError):
        splits = build()
    try:
        _write(path, splits)
    except OSError as error:
        raise TaskError(
            f"{name}: the cache folder {path.parent} cannot be written ({error.strerror}): "
            "name another in $BENCH_LONG_CACHE"
        ) from None
    return splits


def kept(name: str, key: str, make: Callable[[], bytes]) -> bytes:
    """Return the bytes that `make` returned under this key before, or make and keep them.

    As `cached`; but where the folder cannot be written they are made again each time.
    """
    try:
        folder = cache_folder(name)
    except TaskError:  # no home folder
        return make()
    path = folder / f"{name}-{sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.bin"
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
    """The folder of everything that is kept; it need not be there yet.

    Raises:
        TaskError: no variable names one, and there is no home folder; `name` begins the message.
    """
    given = os.environ.get("BENCH_LONG_CACHE")
    try:
        return Path(given).expanduser() if given else Path.home() / ".cache" / "bench-long"
    except RuntimeError:
        raise TaskError(
            f"{name}: there is no home folder for the cache: name one in $BENCH_LONG_CACHE"
        ) from None


def _read(path: Path) -> Splits:
    parts: dict[str, list[Example]] = {name: [] for name in Splits._fields}
    with path.open(encoding="utf-8") as file:
        for line in file:
            part, *fields = json.loads(line)
            if part == "end":
                return Splits(**parts)
            parts[part].append(Example(*map(_tuple, fields)))
    raise ValueError(f"{path} has no end")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _write(path: Path, splits: Splits) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process's number in the name: two that build at once do not write into one file.
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("w", encoding="utf-8") as file:
            for name, examples in zip(Splits._fields, splits, strict=True):
                for example in examples:
                    file.write(json.dumps([name, *example]) + "\n")
            file.write('["end"]\n')
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
