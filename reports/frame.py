"""Result folders as one DataFrame: the only place where reports read results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from harness.core.cell import Cell
from harness.core.columns import CORE_COLUMNS, EXTRA_COLUMNS, row
from harness.core.comparisons import Comparisons
from harness.core.folder import CSV, Manifest, read_run, write_atomically
from harness.core.methods import ZERO_SHOT, method_info
from harness.core.result import CellResult, Predictions
from harness.core.values import LONGEST_TEXT, clean, number

COLUMNS = tuple(column.name for column in CORE_COLUMNS)
"""Columns that scripts may rely on, in this order; further columns follow."""

_DTYPES: dict[type, str] = {str: "string", int: "Int64", float: "float64", bool: "boolean"}
_ADDED: dict[str, type] = {"attempt": int, "in_sweep": bool, "run": str}
"""`in_sweep`: the manifest of the run still lists the cell. `run`: the name of the run."""

DETAILS = (
    "curve", "texts", "by_position", "evaluations", "further", "environment", "settings",
    "planned_seeds", "comparisons", "timing", "predicted",
)  # fmt: skip
"""Columns of objects: validations during training; values by test text (`TextValues`); loss by
position; tasks of lm-eval; other evaluations (other lengths, positions of the evidence, unrelated
text); versions and machine; settings of the cell that decide whether it is comparable with another;
seeds and comparisons that the sweep asks for;
rounds of a probe; what the cell was predicted to cost (`harness.core.predicted`)."""

_SETTINGS = (
    "dtype", "device", "examples", "test_examples", "epochs", "batch_size", "warmup",
    "weight_decay", "clip", "dropout", "target", "uses_lm_head", "evaluation_examples",
    "curriculum", "window", "target_tokens", "alpha", "validation_examples", "validations",
)  # fmt: skip
_LM_EVAL = "lm_eval:"


class ByText(ABC):
    """The values of a cell by test text."""

    @property
    @abstractmethod
    def values(self) -> dict[str, float]:
        """By the id of the text."""

    @cached_property
    def by_id(self) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """The ids in order, and their values, of shape (texts,)."""
        ids = tuple(sorted(self.values))
        return ids, np.array([self.values[one] for one in ids], dtype=np.float64)


@dataclass(frozen=True)
class TextValues(ByText):
    """The values of a cell by test text, computed when they are read."""

    predictions: Predictions
    metric: str | None

    @cached_property
    def values(self) -> dict[str, float]:
        """By the id of the text; their mean is the score. Empty if they are unknown."""
        return self.predictions.text_values(self.metric)


@dataclass(frozen=True)
class Result:
    """One row of the DataFrame, with None for missing values."""

    row: dict[str, Any]

    def __getitem__(self, column: str) -> Any:
        """The value of a column."""
        return self.row[column]

    def get(self, column: str, default: Any = None) -> Any:
        """The value of a column, also one that only some rows have."""
        return self.row.get(column, default)

    def changed(self, **values: Any) -> Result:
        """A copy with other values."""
        return Result({**self.row, **values})

    @property
    def ok(self) -> bool:
        """Whether the cell ended without a failure."""
        return bool(self.row["status"] == "ok")

    @property
    def seed(self) -> int:
        """The seed; 0 where there is none."""
        return int(self.row["seed"] or 0)

    @cached_property
    def order(self) -> tuple[Any, ...]:
        """Sort key: training first, then task, method, density (descending), length."""
        r = self.row
        return (
            r["kind"] != "train", r["task"] or "", r["backbone"] or "", *arm_order(self),
            r["length"] or 0, self.seed, r["lr"] or 0.0, r["id"],
        )  # fmt: skip


@dataclass(frozen=True)
class Run:
    """Facts of a run folder beside its cells. `unreadable` holds (file name, reason)."""

    path: Path
    name: str
    unreadable: list[tuple[str, str]]
    manifest: Manifest
    sweep: str
    results: list[Result] = field(default_factory=list)

    def __deepcopy__(self, _: object) -> Run:
        """Pandas copies `attrs` with every new frame; a run does not change."""
        return self

    @property
    def ids(self) -> list[str] | None:
        """Ids of the cells of the sweep; None without a manifest."""
        return self.manifest.ids


def load_results(*folders: Path | str) -> pd.DataFrame:
    """Return one row for each cell of these run folders, in a stable order.

    Columns: `COLUMNS`, further columns of results.csv (docs/results.md), then `DETAILS`. Missing
    values are NA. If a cell ran several times, the row is its last readable attempt.

    `.attrs["runs"]` holds a `Run` for each folder; `.attrs["unreadable"]` holds (file name,
    reason) of the files that cannot be used. A folder that is given twice counts once; runs with
    the same name get a number.
    """
    runs = _numbered([_load(Path(folder)) for folder in unique_folders(folders)])
    frame = as_frame([result for run in runs for result in run.results])
    frame.attrs["runs"] = runs
    frame.attrs["unreadable"] = [pair for run in runs for pair in run.unreadable]
    return frame


def runs_of(frame: pd.DataFrame) -> list[Run]:
    """The runs of a DataFrame of `load_results`, each with its rows."""
    runs: list[Run] = frame.attrs["runs"]
    return runs


def as_frame(results: Sequence[Result]) -> pd.DataFrame:
    """Results as a DataFrame; every column is there and typed, also without rows."""
    kinds = {c.name: c.kind for c in CORE_COLUMNS + EXTRA_COLUMNS} | _ADDED
    columns = {
        name: pd.Series([result.get(name) for result in results], dtype=_DTYPES[kind])
        for name, kind in kinds.items()
    }
    details = {
        name: pd.Series([result.get(name) for result in results], dtype="object")
        for name in DETAILS
    }
    return pd.DataFrame(columns | details)


def write_csv(folder: Path, frame: pd.DataFrame | None = None) -> Path:
    """Write results.csv into a run folder and return its path. `frame`: its loaded results."""
    frame = load_results(folder) if frame is None else frame
    if len(runs := runs_of(frame)) > 1:
        own = next(run.name for run in runs if run.path.resolve() == folder.resolve())
        frame = frame[frame["run"] == own]
    text = frame.drop(columns=list(DETAILS)).to_csv(index=False, lineterminator="\n")
    write_atomically(folder / CSV, text)
    return folder / CSV


def unique_folders(folders: Sequence[Path | str]) -> list[Path]:
    """The folders in their order; a folder with several names is listed once."""
    found: dict[Path, Path] = {}
    for folder in folders:
        found.setdefault(Path(folder).resolve(), Path(folder))
    return list(found.values())


def arm_order(result: Result) -> tuple[int, str, float, str]:
    """Sort key of arms: full, LoRA, SSMLoRA, other methods, baselines; dense before sparse."""
    method = str(result["method"])
    density = 1.0 if result["density"] is None else result["density"]
    return method_info(method).order, method, -density, str(result["arm"])


def _load(folder: Path) -> Run:
    stored = read_run(folder)
    name = clean(stored.manifest.name or folder.resolve().name)
    ids = stored.manifest.ids
    wanted = None if ids is None else frozenset(ids)
    results = [
        _result(
            cell,
            attempt=stored.attempts[cell.id],
            in_sweep=wanted is None or cell.id in wanted,
            run=name,
            predicted=stored.predicted.cells.get(cell.id),
        )
        for cell in stored.results.values()
    ]
    sweep = _sweep_keys(stored.sweep)
    planned, comparisons = _planned_seeds(sweep, results), Comparisons.read(sweep)
    for result in results:
        result.row.update(planned_seeds=planned, comparisons=comparisons)
    results.sort(key=lambda result: result.order)
    return Run(folder, name, stored.unreadable, stored.manifest, stored.sweep, results)


def _result(cell: CellResult, **added: Any) -> Result:
    answers, scores = cell.predictions or Predictions(), cell.scores
    metric = scores.metric if scores else None
    details = {
        "curve": [point.model_dump(exclude_unset=True) for point in cell.curve],
        "texts": TextValues(answers, metric),
        "by_position": tuple(scores.by_position) if scores and scores.is_loss else (),
        "evaluations": tuple(one for one in cell.evaluations if one.kind == "lm_eval"),
        "further": tuple(one for one in cell.evaluations if one.kind != "lm_eval"),
        "timing": cell.timing,
        "environment": {
            clean(key): clean(value)
            for key, value in cell.environment.model_dump().items()
            if value is not None
        },
        "settings": _settings(cell.cell),
    }
    return Result(row(cell) | added | details)


def _settings(cell: Cell) -> dict[str, str]:
    """The settings of a cell as texts, without those that do not apply.

    `lm_eval` holds the versions of the tasks of lm-eval.
    """
    found = {}
    for name in _SETTINGS:
        value = getattr(cell, name)
        if isinstance(value, str | bool) or number(value) is not None:
            found[name] = f"{value:.12g}" if isinstance(value, float) else clean(value)
    pins = [f"{k} {v}" for k, v in sorted(cell.revisions.items()) if k.startswith(_LM_EVAL)]
    text = ", ".join(pins)
    if len(text) > LONGEST_TEXT:  # truncation would make different texts equal
        text = f"{len(pins)} tasks, {sha256(text.encode(errors='replace')).hexdigest()[:12]}"
    return found | ({"lm_eval": clean(text)} if pins else {})


def _sweep_keys(sweep: str) -> dict[str, Any]:
    """The keys of a stored sweep file; empty if it cannot be read."""
    try:
        data = yaml.safe_load(sweep)
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _planned_seeds(sweep: dict[str, Any], results: Sequence[Result]) -> frozenset[int]:
    """The seeds that a run is to have: the seeds of its sweep file and of its cells."""
    seeds = sweep.get("seeds")
    seeds = seeds if isinstance(seeds, list) else []
    found = {s for s in seeds if isinstance(s, int) and not isinstance(s, bool)}
    trained = (r for r in results if r["kind"] == "train" and r["method"] != ZERO_SHOT)
    return frozenset(found) | {r.seed for r in trained if r["in_sweep"]}


def _numbered(runs: Sequence[Run]) -> list[Run]:
    """The same runs; runs that share a name get a number, so that names are unique."""
    names = [run.name for run in runs]
    taken = {name for name in names if names.count(name) == 1}
    found = []
    for run in runs:
        if run.name not in taken:
            name = next(n for k in count(1) if (n := f"{run.name} ({k})") not in taken)
            taken.add(name)
            results = [result.changed(run=name) for result in run.results]
            run = Run(run.path, name, run.unreadable, run.manifest, run.sweep, results)
        found.append(run)
    return found
