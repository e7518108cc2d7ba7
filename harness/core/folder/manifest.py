"""`manifest.json`: the cells of a sweep, and the time of its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, computed_field

from harness.core.folder.files import json_object
from harness.core.folder.names import MANIFEST
from harness.core.values import clean, number


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


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a run folder; an empty one where there is none."""
    try:
        return Manifest.model_validate(json_object(path / MANIFEST))
    except (ValueError, OSError, RecursionError):
        return Manifest()
