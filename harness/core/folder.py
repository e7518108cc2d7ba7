"""The run folder: its file names, atomic writing, and the one reader of result files.

sweep.yaml            the sweep as run (earlier versions stay as sweep.1.yaml, …)
manifest.json         every cell of the sweep, and the wall time of each run
cells/<id>.json       the result of a cell; <id>.retry1.json, … where it ran again
logs/<id>.log         what the cell's process printed, tracebacks included
predictions.json      what the cells were predicted to cost
cards/<task>.json     statistics of each task's data
kept/<id>/            the trained weights of a cell (`card.py` describes kept.json)
checkpoints/          of cells in training
results.csv, report/  made from the results
cells.jsonl.gz        in place of cells/ in a published folder (`packed.py`)
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import filelock
from pydantic import BaseModel, BeforeValidator, ValidationError, computed_field

from harness.core.errors import BadInput
from harness.core.packed import PACKED, packed, unpacked
from harness.core.predicted import PREDICTED, PredictedRun, read_predicted
from harness.core.result import CellResult
from harness.core.values import clean, number

CELLS, LOGS, CARDS, REPORT = "cells", "logs", "cards", "report"
KEPT, CHECKPOINTS = "kept", "checkpoints"
SWEEP, MANIFEST, CSV, PAGE = "sweep.yaml", "manifest.json", "results.csv", "index.html"

_CELL_FILE = re.compile(r"(?P<id>[^.]+)(?:\.retry(?P<attempt>\d+))?\.json")
_PART = re.compile(
    r"(?:[\w-]+(?:\.retry\d+)?\.json|sweep(?:\.\d+)?\.yaml|results\.csv|index\.html|[\w-]+\.png"
    r"|[\w-]+\.safetensors)\.(?P<pid>\d+)\.tmp"
)
"""A half-written file: the name of the target and the number of the process."""
_PART_FOLDER = re.compile(r"[\w-]+\.(?P<pid>\d+)\.tmp")
"""The folder of a kept model that is being written or removed."""


class RunTime(BaseModel):
    """One run of a sweep: wall time, and the seconds in which its workers trained or evaluated."""

    cells: int = 0
    wall_s: float
    busy_s: float
    workers: int


def _runs(value: Any) -> list[Any]:
    """The valid entries: anyone may have edited a manifest."""

    def valid(run: Any) -> bool:
        names = ("wall_s", "busy_s", "workers")
        return isinstance(run, RunTime) or (
            isinstance(run, dict) and all(number(run.get(name)) is not None for name in names)
        )

    return [run for run in value if valid(run)] if isinstance(value, list) else []


class Manifest(BaseModel):
    """The content of `manifest.json`. `ids` is None in a folder without one."""

    name: Annotated[str | None, BeforeValidator(lambda v: clean(v) if v else None)] = None
    ids: Annotated[
        list[str] | None,
        BeforeValidator(lambda v: [str(i) for i in v] if isinstance(v, list) else None),
    ] = None
    finished: Annotated[bool, BeforeValidator(lambda v: v is True)] = False
    runs: Annotated[list[RunTime], BeforeValidator(_runs)] = []

    @computed_field  # type: ignore[prop-decorator]
    @property
    def wall_s(self) -> float:
        """Wall time of all runs, in seconds."""
        return sum(run.wall_s for run in self.runs)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def overhead_share(self) -> float | None:
        """Share of the workers' time that was not training, evaluating or probing."""
        available = sum(run.wall_s * run.workers for run in self.runs)
        # Arms of a timing group are prepared side by side, and their group has all workers.
        return max(0.0, 1 - sum(run.busy_s for run in self.runs) / available) if available else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def workers(self) -> int | None:
        """Workers of the last run."""
        return self.runs[-1].workers if self.runs else None


@dataclass(frozen=True)
class StoredRun:
    """A run folder as read from disk.

    Attributes:
        results: the last readable attempt of each cell, by id.
        attempts: the number of that attempt, 0 for the first, by id.
        unreadable: (file name, reason) of each cell file that cannot be used.
        manifest: an empty one where there is none.
        sweep: the text of `sweep.yaml`, "" where there is none.
        predicted: what its cells were predicted to cost; empty where that is unknown.
    """

    path: Path
    results: dict[str, CellResult]
    attempts: dict[str, int]
    unreadable: list[tuple[str, str]]
    manifest: Manifest
    sweep: str
    predicted: PredictedRun


def check_run_folder(path: Path) -> None:
    """Check that a folder has results in it, or a place for them.

    Raises:
        BadInput: it is not a result folder.
    """
    if not (path / CELLS).is_dir() and not (path / PACKED).is_file():
        raise BadInput(f"{path}: not a result folder: it has no {CELLS}/ in it")


def read_run(path: Path, ids: Iterable[str] | None = None) -> StoredRun:
    """Read a run folder, or of its cells those in `ids`. A torn or foreign file is left out."""
    attempts: dict[str, int] = {}
    unreadable: list[tuple[str, str]] = []
    results = {result.id: result for result in iter_results(path, ids, attempts, unreadable)}
    rest = (read_manifest(path), _sweep_text(path), read_predicted(path / PREDICTED))
    return StoredRun(path, results, attempts, unreadable, *rest)


def iter_results(
    path: Path,
    ids: Iterable[str] | None = None,
    attempts: dict[str, int] | None = None,
    unreadable: list[tuple[str, str]] | None = None,
) -> Iterator[CellResult]:
    """Yield the results of a run folder one at a time; a later attempt replaces an earlier one.

    `attempts` and `unreadable` are filled as `StoredRun` describes them.
    """
    wanted = None if ids is None else set(ids)
    attempts = {} if attempts is None else attempts
    unreadable = [] if unreadable is None else unreadable
    for file in sorted((path / CELLS).glob("*.json")):
        match = _CELL_FILE.fullmatch(file.name)
        if match and wanted is not None and match["id"] not in wanted:
            continue
        try:
            if not match:
                raise ValueError("its name is not <id>.json or <id>.retry<n>.json")
            attempt = int(match["attempt"] or 0)
            if attempts.get(match["id"], -1) > attempt:
                continue
            result = CellResult.model_validate(_json_object(file))
            if result.id != match["id"]:
                raise ValueError(f"it has the id {clean(result.id)}, not the id in its name")
        except (ValueError, OSError, RecursionError) as error:
            unreadable.append((clean(file.name), reason_of(error)))
            continue
        attempts[result.id] = attempt
        yield result
    if (path / PACKED).is_file():
        yield from _packed_results(path / PACKED, wanted, attempts, unreadable)


def _packed_results(
    file: Path, wanted: set[str] | None, attempts: dict[str, int], unreadable: list[tuple[str, str]]
) -> Iterator[CellResult]:
    """The results of a packed file that `cells/` has no result for."""
    try:
        for name, value in unpacked(file):
            try:
                result = CellResult.model_validate(value)
            except (ValueError, RecursionError) as error:
                unreadable.append((clean(name), reason_of(error)))
                continue
            if result.id not in attempts and (wanted is None or result.id in wanted):
                attempts[result.id] = 0
                yield result
    except (ValueError, OSError, RecursionError) as error:
        unreadable.append((file.name, reason_of(error)))


def write_packed(run: StoredRun, to: Path) -> Path:
    """Write the last attempts of a run and what belongs to them into a folder for a repository."""
    to.mkdir(parents=True, exist_ok=True)
    results = [r for r in run.results.values() if r.id in (run.manifest.ids or run.results)]
    write_atomically(to / SWEEP, run.sweep)
    write_atomically(to / MANIFEST, run.manifest.model_dump_json(indent=1))
    write_atomically(to / PACKED, packed(results))
    if (predicted := run.predicted.only(r.id for r in results)).cells:
        write_atomically(to / PREDICTED, predicted.text)
    return to / PACKED


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a run folder; an empty one where there is none."""
    try:
        return Manifest.model_validate(_json_object(path / MANIFEST))
    except (ValueError, OSError, RecursionError):
        return Manifest()


class RunFolder:
    """A run folder to write to, held by one process at a time (`with`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells = path / CELLS
        self.logs = path / LOGS
        self._lock = filelock.FileLock(path / ".lock", timeout=0)

    def __enter__(self) -> RunFolder:
        """Make the folder and take its lock; the system releases the lock of a process that died.

        Raises:
            BadInput: the folder cannot be written, or another run holds it.
        """
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            self._lock.acquire()
            for part in self._abandoned():
                if part.is_dir():
                    shutil.rmtree(part, ignore_errors=True)
                else:
                    part.unlink(missing_ok=True)
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
        """Release the lock."""
        self._lock.release()

    def _abandoned(self) -> Iterator[Path]:
        """Half-written files of processes that no longer run; no other file of this folder."""
        for name in ("", CELLS, CARDS, REPORT, CHECKPOINTS, KEPT):
            for path in (self.path / name).glob("*.tmp"):
                match = (_PART_FOLDER if name == KEPT else _PART).fullmatch(path.name)
                known = match and path.is_dir() == (name == KEPT)
                if match and known and not _is_writing(int(match["pid"]), path):
                    yield path

    def read(self, ids: Iterable[str] | None = None) -> StoredRun:
        """Read the folder, or of its cells those in `ids`."""
        return read_run(self.path, ids)

    def write_result(self, result: CellResult) -> Path:
        """Write a result under the next free name.

        Raises:
            OSError: it cannot be written; the file is named.
        """
        path = self.cells / f"{result.id}.json"
        attempt = 0
        while path.exists():
            attempt += 1
            path = self.cells / f"{result.id}.retry{attempt}.json"
        write_atomically(path, result.model_dump_json(indent=1))
        return path

    def write_card(self, name: str, text: str) -> None:
        """Replace a task's card."""
        path = self.path / CARDS / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, text)

    def add_predicted(self, run: PredictedRun) -> None:
        """Write predictions; those of other cells in the folder stay."""
        known = read_predicted(self.path / PREDICTED)
        write_atomically(self.path / PREDICTED, known.updated(run).text)

    def write_sweep(self, text: str, same: Callable[[str, str], bool] = str.__eq__) -> None:
        """Write the sweep as run; an earlier one that is not the `same` is kept beside it."""
        path = self.path / SWEEP
        old = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else text
        if old != text and not same(old, text):
            number = 1
            while (aside := self.path / f"sweep.{number}.yaml").exists():
                number += 1
            write_atomically(aside, old)
        write_atomically(path, text)

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest."""
        write_atomically(self.path / MANIFEST, manifest.model_dump_json(indent=1))


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside the target, flush to disk, rename: a reader sees the old or the new content.

    Raises:
        OSError: it cannot be written; the file is named.
    """
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:  # a full disk does not name the file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _is_writing(pid: int, path: Path) -> bool:
    """Whether the process of that number runs and is not a later one with the same number."""
    import psutil

    try:
        return psutil.Process(pid).create_time() <= path.stat().st_mtime + 1
    except (psutil.Error, OSError):
        return False


def _json_object(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def _sweep_text(path: Path) -> str:
    try:
        return (path / SWEEP).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def reason_of(error: Exception) -> str:
    """Why a file cannot be used, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        return clean(f"{place} {message}" if place else message)
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "not valid JSON"
    return clean(error)
