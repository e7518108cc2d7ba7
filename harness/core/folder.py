"""The run folder: one file a cell, written whole or not at all, never overwritten.

sweep.yaml            the sweep as run (earlier ones stay as sweep.1.yaml, …)
manifest.json         every cell the sweep stands for, and what running them took
cells/<id>.json       a cell's outcome; <id>.retry1.json, … where it was run again
logs/<id>.log         what its process printed, tracebacks included
cards/<task>.json     what each task's data is like
results.csv, report/  made from the cells
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock

from harness.core.errors import BadInput
from harness.core.result import FAILURES
from harness.planning.sweep import Sweep
from harness.planning.yaml_files import dump_yaml

_CELL_FILE = re.compile(r"^(?P<id>[0-9a-f]{12})(?:\.retry(?P<attempt>\d+))?\.json$")
_RECORDS = re.compile(
    r"(?:[0-9a-f]{12}(?:\.retry\d+)?\.json|manifest\.json|sweep(?:\.\d+)?\.yaml)\.tmp"
)
_CARD = re.compile(r".+\.json\.tmp")
_REPORT = re.compile(r"(?:results\.csv|index\.html|[\w-]+\.png)\.(?P<pid>\d+)\.tmp")
"""Names of half-written files: of this module's, whose one writer holds the lock; and of the
report's, which any process may be writing and whose names hold its number."""


class RunFolder:
    """One run's folder, held by one process at a time (`with`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells = path / "cells"
        self.logs = path / "logs"
        self._lock = filelock.FileLock(path / ".lock", timeout=0)

    def __enter__(self) -> RunFolder:
        """Make the folder and take its lock; the system drops the lock of a process that died.

        Raises:
            BadInput: the folder cannot be written, or another run holds it.
        """
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            self._lock.acquire()
            for left_over in self._half_written():
                left_over.unlink(missing_ok=True)
        except filelock.Timeout:
            raise BadInput(
                f"{self.path}: another run is writing into this folder: wait for it to end, or "
                f"give this one its own with --out"
            ) from None
        except OSError as error:
            raise BadInput(
                f"{self.path}: cannot be written: {error.strerror}: name another folder with --out"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        """Let the lock go."""
        self._lock.release()

    def _half_written(self) -> Iterator[Path]:
        """What killed processes left half written; nothing else that may lie in this folder."""
        for folder in (self.path, self.cells):
            yield from _parts(folder, _RECORDS)
        yield from _parts(self.path / "cards", _CARD)
        for folder in (self.path, self.path / "report"):
            for path in _parts(folder, _REPORT):
                match = _REPORT.fullmatch(path.name)
                if match and not _is_writing(int(match["pid"]), path):
                    yield path

    def results(self, ids: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """The last attempt of every cell (or of `ids`) that has one.

        A file that is torn or no result is left out, so that its cell is run again beside it.
        """
        wanted = None if ids is None else set(ids)
        found: dict[str, tuple[int, dict[str, Any]]] = {}
        for path in self.cells.glob("*.json"):
            match = _CELL_FILE.match(path.name)
            if not match or (wanted is not None and match["id"] not in wanted):
                continue
            attempt = int(match["attempt"] or 0)
            if match["id"] in found and found[match["id"]][0] > attempt:
                continue
            result = _read(path)
            if result.get("id") == match["id"] and result.get("status") in ("ok", *FAILURES):
                found[match["id"]] = (attempt, result)
        return {cell_id: result for cell_id, (_, result) in found.items()}

    def write_result(self, result: dict[str, Any]) -> Path:
        """Write a cell's outcome under the next free name."""
        path = self.cells / f"{result['id']}.json"
        attempt = 0
        while path.exists():
            attempt += 1
            path = self.cells / f"{result['id']}.retry{attempt}.json"
        write_atomically(path, json.dumps(result, indent=1, allow_nan=True))
        return path

    def write_card(self, name: str, text: str) -> None:
        """Replace a task's card."""
        path = self.path / "cards" / f"{name}.json"
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise BadInput(f"{path.parent}: cannot be written: {error.strerror}") from None
        write_atomically(path, text)

    def write_sweep(self, sweep: Sweep) -> None:
        """Keep the sweep as run; one that differs from the last is kept beside it."""
        text = dump_yaml(as_file(sweep))
        path = self.path / "sweep.yaml"
        old = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else text
        if old != text:
            number = 1
            while (aside := self.path / f"sweep.{number}.yaml").exists():
                number += 1
            write_atomically(aside, old)
        write_atomically(path, text)

    def read_manifest(self) -> dict[str, Any]:
        """The manifest, or an empty one."""
        return _read(self.path / "manifest.json")

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest."""
        write_atomically(self.path / "manifest.json", json.dumps(manifest, indent=1))


def write_atomically(path: Path, text: str) -> None:
    """Write beside the target, flush to disk, then rename: a reader sees all of it or none.

    Raises:
        BadInput: the disk is full, or the folder went away or may no longer be written.
    """
    part = path.with_name(path.name + ".tmp")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink()


def _parts(folder: Path, name: re.Pattern[str]) -> Iterator[Path]:
    return (path for path in folder.glob("*.tmp") if name.fullmatch(path.name) and path.is_file())


def _is_writing(pid: int, path: Path) -> bool:
    """Whether the process of that number runs and is not a later one with the same number."""
    import psutil

    try:
        return psutil.Process(pid).create_time() <= path.stat().st_mtime + 1
    except (psutil.Error, OSError):
        return False


def _read(path: Path) -> dict[str, Any]:
    """A JSON object from a file; an empty one where there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def as_file(sweep: Sweep) -> dict[str, Any]:
    """A sweep in the form of its file: methods as one-key mappings, only what was given."""
    data = sweep.model_dump(exclude_unset=True)
    methods: list[Any] = []
    for method in sweep.methods:
        settings = method.model_dump(exclude_unset=True, exclude={"type", "options"})
        settings |= method.options
        methods.append({method.type: settings} if settings else method.type)
    return {**data, "methods": methods}
