"""A run that goes on elsewhere, followed through the files of its folder. Nothing is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from harness.core.folder import CELLS, LOGS, MANIFEST, Manifest, iter_results, read_manifest
from harness.core.folder.packed import PACKED
from harness.core.predicted import PREDICTED, PredictedRun, read_predicted
from harness.core.result import OK, CellResult
from harness.execution.runner import Progress


@dataclass(frozen=True)
class News:
    """What changed since the last look.

    Attributes:
        progress: of this run of the sweep; costs are predicted seconds, or cells.
        results: new results, oldest first.
        ended: whether the run has ended.
    """

    progress: Progress
    results: list[CellResult]
    ended: bool


class FollowedRun:
    """Looks at a run folder again and again; each result file is read once.

    A run ends when its manifest says so: all cells have a result, or it was stopped. A run that is
    killed leaves no sign, so it does not end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: list[str] = []
        self.states: dict[str, str] = {}
        """The status of each cell that has a result."""
        self.last_result = time.time()
        """When the newest result was written, in seconds since 1970."""
        self._read: dict[str, float] = {}
        self._begun = 0.0
        self._runs = -1
        self._predicted = PredictedRun()

    def look(self) -> News:
        """Read what is new."""
        manifest = read_manifest(self.folder)
        self._take(manifest)
        new = self._new_results()
        return News(self._progress(), new, self._ended(manifest))

    def _take(self, manifest: Manifest) -> None:
        """Take over the plan. A run writes the manifest at its start and at its end."""
        if self._runs < 0:
            self._runs = len(manifest.runs)
        if manifest.ids is not None and [*manifest.ids] != self.ids:
            self.ids = manifest.ids
            self._predicted = read_predicted(self.folder / PREDICTED)
        if len(manifest.runs) == self._runs:
            self._begun = _modified(self.folder / MANIFEST)

    def _ended(self, manifest: Manifest) -> bool:
        return manifest.finished or len(manifest.runs) > self._runs

    def _new_results(self) -> list[CellResult]:
        """Read the result files that were not read yet."""
        times = {path.name: _modified(path) for path in (self.folder / CELLS).glob("*.json")}
        names = [name for name, at in times.items() if at != self._read.get(name)]
        self._read |= times
        packed = not self.states and (self.folder / PACKED).is_file()
        if not names and not packed:
            return []
        ids = {name.partition(".")[0] for name in names}
        wanted = {*self.ids} if packed else ids & {*self.ids}
        found = {result.id: result for result in iter_results(self.folder, wanted)}
        self.states |= {result.id: result.status for result in found.values()}
        self.last_result = max([times[name] for name in names], default=self.last_result)
        newest = {name.partition(".")[0]: times[name] for name in sorted(names)}
        return sorted(found.values(), key=lambda result: newest.get(result.id, 0.0))

    def _progress(self) -> Progress:
        of_this_run = {
            name.partition(".")[0] for name, at in self._read.items() if at >= self._begun
        }
        done = [i for i in self.ids if i in self.states]
        left = [i for i in self.ids if i not in self.states]
        cost_done = sum(self._cost(i) for i in done if i in of_this_run)
        return Progress(
            total=len(self.ids),
            done=len(done),
            failed=sum(self.states[i] != OK for i in done),
            running=sum(self._runs_now(i) for i in left),
            cost_total=cost_done + sum(self._cost(i) for i in left),
            cost_done=cost_done,
        )

    def _cost(self, cell_id: str) -> float:
        predicted = self._predicted.cells.get(cell_id)
        return (predicted.cell_s if predicted else None) or 1.0

    def _runs_now(self, cell_id: str) -> bool:
        """Whether a cell without a result has written into its log in this run."""
        return _modified(self.folder / LOGS / f"{cell_id}.log") >= max(self._begun, 1.0)

    @property
    def begun(self) -> float:
        """When this run of the sweep began, in seconds since 1970."""
        return self._begun


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
