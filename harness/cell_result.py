"""The form of a result file, shared by the cell that fills it and the engine that must fail it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.cells import Cell

if TYPE_CHECKING:
    from harness.worker import Job


def new_result(cell: Cell, machine: dict[str, Any]) -> dict[str, Any]:
    """A result before anything is known but what was to be run."""
    return {
        "format": 1,
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


def failed_result(job: Job, status: str, kind: str, message: str, seconds: float) -> dict[str, Any]:
    """The result of a cell whose process could not tell its own."""
    result = new_result(job.cell, job.machine)
    result["status"] = status
    result["error"] = {"type": kind, "message": message, "log": f"logs/{job.log.name}"}
    result["seconds"] = {"wall": seconds}
    return result
