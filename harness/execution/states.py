"""Which cells of a sweep have a result in a folder. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import printable
from harness.core.folder import CELLS, iter_results, read_manifest
from harness.core.result import FAILURES, OK, CellResult


class State(NamedTuple):
    """What is known of a cell that has a result.

    Attributes:
        status: of its last result.
        failures: the statuses that `--retry` accepts, of the cell and of its evaluations.
        timing_group: of a probe, the rounds that it took part in.
    """

    status: str
    failures: frozenset[str]
    timing_group: str | None = None

    def __str__(self) -> str:
        """The state as a table shows it."""
        if self.status != OK:
            return f"failed: {self.status}"
        failed = f", evaluations: {', '.join(sorted(self.failures))}" if self.failures else ""
        return f"done{failed}"


def state_of(result: CellResult) -> State:
    """Return the state that a result leaves its cell in."""
    group = result.timing.group if result.timing else None
    return _state(result.status, frozenset(result.statuses & {*FAILURES}), group)


_state = cache(State)  # one object for all cells of a state: a folder may hold 100,000 of them


def read_states(folder: Path, ids: Iterable[str]) -> dict[str, State]:
    """Return the state of each cell that has a result, by id. Predictions are not kept."""
    return {result.id: state_of(result) for result in iter_results(folder, ids)}


def retry_statuses(states: Mapping[str, State]) -> str:
    """Return the value of `--retry` that runs all failed cells again; "" if there are none."""
    found = {status for state in states.values() for status in state.failures}
    return ",".join(status for status in FAILURES if status in found)


def summary(states: Mapping[str, State], cells: int, folder: Path, name: str) -> list[str]:
    """Describe in lines what a folder has of the `cells` cells of the sweep called `name`."""
    done = sum(state.status == OK for state in states.values())
    failed = len(states) - done
    lines = [f"{folder}: {done} done, {failed} failed, {cells - len(states)} to run"]
    if again := retry_statuses(states):
        lines.append(f"to run failed cells again: bench-long run with --retry {again}")
    other = read_manifest(folder).name
    if other and other != name:
        lines.append(
            f"{folder} holds the sweep {printable(other)[:64]!r}: running {name!r} there adds its "
            f"results to them"
        )
    elif not (folder / CELLS).is_dir() and any(folder.iterdir()):
        lines.append(f"{folder} is not a result folder: it has no {CELLS}/")
    return lines
