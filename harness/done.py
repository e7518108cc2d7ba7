"""What a result folder has of a sweep's cells, read without changing anything in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from harness.cells import Cell
from harness.errors import printable
from harness.runner import STATUSES, outcomes
from harness.store import RunFolder

TO_RUN = "to run"


def states(folder: Path, cells: list[Cell]) -> dict[str, str]:
    """The state of each cell by its id: `done`, `failed: <status>`, or `to run`.

    A cell that is done, but for tasks of lm-eval that failed on its model, says which way.
    """
    results = RunFolder(folder).results(cell.id for cell in cells)
    found = {}
    for cell in cells:
        result = results.get(cell.id)
        found[cell.id] = TO_RUN
        if result is not None and result["status"] != "ok":
            found[cell.id] = f"failed: {printable(result['status'])[:20]}"
        elif result is not None:
            lost = sorted(outcomes(result) & {*STATUSES})
            found[cell.id] = "done" + (f", lm-eval: {', '.join(lost)}" if lost else "")
    return found


def summary(states: dict[str, str], folder: Path, name: str) -> list[str]:
    """Lines that sum up a plan's states in a folder, for the sweep called `name`."""
    counts = Counter(state.split(":")[0].split(",")[0] for state in states.values())
    lines = [f"{folder}: {counts['done']} done, {counts['failed']} failed, {counts[TO_RUN]} to run"]
    failed = {word for state in states.values() for word in state.replace(",", " ").split()[1:]}
    if again := [status for status in STATUSES if status in failed]:
        lines.append(f"to run failed ones again: bench-long run with --retry {','.join(again)}")
    other = RunFolder(folder).read_manifest().get("name")
    if isinstance(other, str) and other != name:
        lines.append(
            f"{folder} holds the sweep {printable(other)[:64]!r}; running {name!r} there keeps its "
            f"results beside those"
        )
    elif not (folder / "cells").is_dir() and any(folder.iterdir()):
        lines.append(f"{folder} is no result folder: it has no cells/ in it")
    return lines
