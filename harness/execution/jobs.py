"""Which cells run together: each training cell alone, the probes of one length in one group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.core.cell import Cell
from harness.execution.states import State

_SHARED = ("backbone", "uses_lm_head", "length", "batch_size", "steps", "seed", "dtype", "device")
"""Settings that the arms of a timing group have in common."""


def in_jobs(cells: Mapping[str, Cell]) -> list[list[str]]:
    """Return the ids of the cells of each job, in the order of the first cell of each."""
    groups: dict[object, list[str]] = {}
    for cell_id, cell in cells.items():
        probe = cell.kind == "probe"
        key = tuple(getattr(cell, name) for name in _SHARED) if probe else cell_id
        groups.setdefault(key, []).append(cell_id)
    return [*groups.values()]


def short_first(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Return the cells in the order for a run with a limited time.

    The probes run first, because they are the cheapest. Then each length is trained with all arms
    and all seeds before the next longer one, so that what is done can be compared.
    """

    def key(item: tuple[str, Cell]) -> tuple[bool, int, int]:
        cell = item[1]
        return (cell.kind == "train", cell.length, cell.seed)

    return dict(sorted(cells.items(), key=key))


def is_done(ids: Iterable[str], states: Mapping[str, State], retry: set[str]) -> bool:
    """Whether no cell of a job needs to run.

    A timing group runs as a whole, also if its results come from different attempts, as after a
    run that was killed while it wrote them.
    """
    found = [states.get(i) for i in ids]
    known = [state for state in found if state is not None and not state.failures & retry]
    return len(known) == len(found) and len({state.timing_group for state in known}) == 1
