"""The one reader of result files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import BadInput
from harness.core.folder.files import json_object, reason_of
from harness.core.folder.manifest import Manifest, read_manifest
from harness.core.folder.names import CELLS, SWEEP
from harness.core.folder.packed import PACKED, unpacked
from harness.core.predicted import PREDICTED, PredictedRun, read_predicted
from harness.core.result import CellResult
from harness.core.values import clean

CELL_FILE = re.compile(r"(?P<id>[^.]+)(?:\.retry(?P<attempt>\d+))?\.json")


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
        BadInput: it does not exist, or is not a result folder.
    """
    if not path.exists():
        raise BadInput(f"{path}: there is no such folder")
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
        match = CELL_FILE.fullmatch(file.name)
        if match and wanted is not None and match["id"] not in wanted:
            continue
        try:
            if not match:
                raise ValueError("its name is not <id>.json or <id>.retry<n>.json")
            attempt = int(match["attempt"] or 0)
            if attempts.get(match["id"], -1) > attempt:
                continue
            result = CellResult.model_validate(json_object(file))
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


def _sweep_text(path: Path) -> str:
    try:
        return (path / SWEEP).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
