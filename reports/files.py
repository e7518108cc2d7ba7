"""A run folder as read from disk: cells as typed results, what could not be read, the manifest.

Result files may come from elsewhere: nothing in them is trusted beyond its type and range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from harness.core.cell import LM_EVAL as LM_EVAL
from harness.core.columns import row as columns_of
from harness.core.folder import StoredRun, read_run
from harness.core.folder import write_atomically as write_atomically
from harness.core.methods import BASELINES as REFERENCES
from harness.core.methods import SSMLORA as CHAINED
from harness.core.methods import TFIDF as BASELINE
from harness.core.methods import ZERO_SHOT as BASE
from harness.core.methods import method_info
from harness.core.result import ACCURACY as ACCURACY
from harness.core.result import FAILURES as FAILURES
from harness.core.result import LOSS as LOSS
from harness.core.result import CellResult, Evaluation, PositionLoss, Predictions
from harness.core.values import clean
from reports.extras import asked

__all__ = [
    "ACCURACY",
    "BASE",
    "BASELINE",
    "CHAINED",
    "FAILURES",
    "LM_EVAL",
    "LOSS",
    "REFERENCES",
    "Result",
    "Run",
    "load_run",
    "write_atomically",
]


@dataclass(frozen=True)
class Result:
    """One cell's outcome: its row (every column of the table) and what no column holds.

    `correct` and `marks` are by test example: whether it was right, and its own score. `asked`
    holds the settings of the cell that decide whether it is comparable with others, as texts.
    `planned` are the seeds that the sweep of its run asks for.
    """

    row: dict[str, Any]
    curve: list[dict[str, float | None]] = field(default_factory=list)
    correct: dict[str, bool] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)
    by_position: tuple[PositionLoss, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    asked: dict[str, str] = field(default_factory=dict)
    planned: frozenset[int] = frozenset()

    def __getitem__(self, column: str) -> Any:
        """The value of a column; None where it does not apply."""
        return self.row[column]

    @property
    def ok(self) -> bool:
        """Whether the cell ended well."""
        return bool(self.row["status"] == "ok")

    @property
    def order(self) -> tuple[Any, ...]:
        """Sorts cells: training first, then task, method, density from dense to sparse, length."""
        r = self.row
        return (
            r["kind"] != "train",
            r["task"] or "",
            r["backbone"] or "",
            *arm_order(self),
            r["length"] or 0,
            r["seed"] or 0,
            r["lr"] or 0.0,
            r["id"],
        )


@dataclass(frozen=True)
class Run:
    """A run folder. `unreadable` holds (file name, reason); `ids` is None without a manifest."""

    path: Path
    name: str
    results: list[Result]
    unreadable: list[tuple[str, str]]
    manifest: dict[str, Any]
    ids: list[str] | None
    sweep: str

    @property
    def not_run(self) -> int:
        """Cells of the sweep that have no readable result."""
        done = {result["id"] for result in self.results}
        return sum(cell_id not in done for cell_id in self.ids or [])


def load_run(run_dir: Path) -> Run:
    """Read a run folder; a cell file that cannot be used is named and left out."""
    stored = read_run(run_dir)
    name = clean(stored.manifest.name or run_dir.resolve().name)
    found = [_result(one, stored, name) for one in stored.results.values()]
    results = sorted(found, key=lambda result: result.order)
    planned = _planned(stored.sweep, results)
    results = [replace(result, planned=planned) for result in results]
    manifest = stored.manifest.model_dump()
    return Run(
        run_dir, name, results, stored.unreadable, manifest, stored.manifest.ids, stored.sweep
    )


def _result(cell: CellResult, stored: StoredRun, run: str) -> Result:
    scores, ids = cell.scores, stored.manifest.ids
    row = columns_of(cell) | {
        "attempt": stored.attempts[cell.id],
        "in_sweep": ids is None or cell.id in ids,
        "run": run,
    }
    answers = cell.predictions or Predictions()
    return Result(
        row,
        [point.model_dump(exclude_unset=True) for point in cell.curve],
        answers.correct() if row["metric"] == ACCURACY else {},
        {k: clean(v) for k, v in cell.environment.model_dump().items() if v is not None},
        answers.example_scores(),
        tuple(scores.by_position) if scores and scores.is_loss else (),
        tuple(cell.evaluations),
        asked(cell.cell),
    )


def unique_folders(folders: Sequence[Path]) -> list[Path]:
    """The folders in their order; one that is named in several ways is there once."""
    found: dict[Path, Path] = {}
    for folder in folders:
        found.setdefault(Path(folder).resolve(), Path(folder))
    return list(found.values())


def _planned(sweep: str, results: list[Result]) -> frozenset[int]:
    """The seeds that a run is to have: those of its sweep file, and those of its cells."""
    try:
        about = yaml.safe_load(sweep)
    except (yaml.YAMLError, RecursionError, ValueError):
        about = None
    seeds = about.get("seeds") if isinstance(about, dict) else None
    seeds = seeds if isinstance(seeds, list) else []
    found = {s for s in seeds if isinstance(s, int) and not isinstance(s, bool)}
    trained = (r for r in results if r["kind"] == "train" and r["method"] != BASE and r["in_sweep"])
    return frozenset(found) | {int(r["seed"] or 0) for r in trained}


def arm_order(result: Result) -> tuple[int, str, float, str]:
    """Sorts arms: full, LoRA, SSMLoRA, other methods, references; dense before sparse."""
    method = str(result["method"])
    return (
        method_info(method).order,
        method,
        -(1.0 if result["density"] is None else result["density"]),
        str(result["arm"]),
    )


def density_text(density: float) -> str:
    """A density as arms are labelled: `1/2`."""
    return str(Fraction(density).limit_denominator(64))
