"""Writing a run folder: nothing is overwritten, and a killed run leaves no half-written file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import filelock

from harness.core.errors import BadInput
from harness.core.folder.files import write_atomically
from harness.core.folder.manifest import Manifest
from harness.core.folder.names import CARDS, CELLS, CHECKPOINTS, KEPT, LOGS, MANIFEST, REPORT, SWEEP
from harness.core.folder.packed import PACKED, packed
from harness.core.folder.reading import StoredRun, read_run
from harness.core.predicted import PREDICTED, PredictedRun, read_predicted
from harness.core.result import CellResult

_PART = re.compile(
    r"(?:[\w-]+(?:\.retry\d+)?\.json|sweep(?:\.\d+)?\.yaml|results\.csv|index\.html|[\w-]+\.png"
    r"|[\w-]+\.safetensors)\.(?P<pid>\d+)\.tmp"
)
"""A half-written file: the name of the target and the number of the process."""
_PART_FOLDER = re.compile(r"[\w-]+\.(?P<pid>\d+)\.tmp")
"""The folder of a kept model that is being written or removed."""


class RunFolder:
    """A run folder to write to, held by one process at a time (`with`)."""

    def __init__(self, path: Path, written: Callable[[Path], None] = lambda _: None) -> None:
        """`written` is called with the file of each result."""
        self.path = path
        self._written = written
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
        self._written(path)
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


def _is_writing(pid: int, path: Path) -> bool:
    """Whether the process of that number runs and is not a later one with the same number."""
    import psutil

    try:
        return psutil.Process(pid).create_time() <= path.stat().st_mtime + 1
    except (psutil.Error, OSError):
        return False
