"""The form of a result file, shared by the cell that fills it and the engine that fails it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.cell import RECIPE, Cell

FAILURES = ("oom", "diverged", "timeout", "error")
"""The ways a cell can fail; each is a result."""


class Failure(NamedTuple):
    """How a cell failed: its status, a short name for the kind, and one line for the reader."""

    status: str
    kind: str
    message: str


def new_result(cell: Cell, machine: dict[str, Any]) -> dict[str, Any]:
    """A result before anything is known but what was to be run."""
    return {
        "format": 1,
        "recipe": RECIPE,
        "id": cell.id,
        "kind": cell.kind,
        "status": "error",
        "arm": cell.arm,
        "cell": cell.model_dump(),
        "model": None,
        "data": None,
        "scores": None,
        "curve": [],
        "cost": None,
        "seconds": {},
        "predictions": None,
        "environment": {"started": datetime.now(UTC).isoformat(timespec="seconds"), **machine},
        "error": None,
    }


def failed_result(
    cell: Cell, machine: dict[str, Any], log: Path, failure: Failure, seconds: float
) -> dict[str, Any]:
    """The result of a cell whose process could not tell its own."""
    result = new_result(cell, machine)
    result["status"] = failure.status
    result["error"] = {"type": failure.kind, "message": failure.message, "log": f"logs/{log.name}"}
    result["seconds"] = {"wall": seconds}
    return result
