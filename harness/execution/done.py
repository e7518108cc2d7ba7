"""What a result folder has of a sweep's cells, read without changing anything in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.core.cell import Cell
from harness.core.errors import printable
from harness.core.folder import CELLS, read_manifest, read_run
from harness.core.result import FAILURES


@dataclass(frozen=True)
class State:
    """What a folder has of a cell.

    Attributes:
        status: of its last result; None where it has none.
        failed: statuses that `--retry` takes, of the cell and of the tasks of lm-eval on its model.
    """

    status: str | None = None
    failed: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """The state as a table shows it."""
        if self.status is None:
            return "to run"
        if self.status != "ok":
            return f"failed: {printable(self.status)[:20]}"
        return "done" + (f", lm-eval: {', '.join(sorted(self.failed))}" if self.failed else "")


def states(folder: Path, cells: list[Cell]) -> dict[str, State]:
    """The state of each cell by its id."""
    results = read_run(folder, (cell.id for cell in cells)).results
    return {
        cell.id: State(found.status, frozenset(found.statuses & {*FAILURES}))
        if (found := results.get(cell.id)) is not None
        else State()
        for cell in cells
    }


def summary(states: Mapping[str, State], folder: Path, name: str) -> list[str]:
    """Lines that sum up a plan's states in a folder, for the sweep called `name`."""
    done = sum(state.status == "ok" for state in states.values())
    left = sum(state.status is None for state in states.values())
    lines = [f"{folder}: {done} done, {len(states) - done - left} failed, {left} to run"]
    failed = {status for state in states.values() for status in state.failed}
    if again := [status for status in FAILURES if status in failed]:
        lines.append(f"to run failed ones again: bench-long run with --retry {','.join(again)}")
    other = read_manifest(folder).name
    if other and other != name:
        lines.append(
            f"{folder} holds the sweep {printable(other)[:64]!r}; running {name!r} there keeps its "
            f"results beside those"
        )
    elif not (folder / CELLS).is_dir() and any(folder.iterdir()):
        lines.append(f"{folder} is no result folder: it has no cells/ in it")
    return lines
