"""A run folder as read from disk: cells as typed results, what could not be read, the manifest.

Result files may come from elsewhere: nothing in them is trusted beyond its type.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

FAILURES = ("oom", "diverged", "timeout", "error")
STATUSES = ("ok", *FAILURES)
KINDS = ("train", "probe")
BASELINE = "tfidf"

# Where each column comes from: name, section of the cell file ("" is the top), key, type.
_Source = tuple[str, str, str, type]
HOUSE: tuple[_Source, ...] = (
    ("id", "", "id", str),
    ("kind", "", "kind", str),
    ("status", "", "status", str),
    ("task", "cell", "task", str),
    ("backbone", "cell", "backbone", str),
    ("method", "cell", "method", str),
    ("density", "cell", "density", float),
    ("placement", "cell", "placement", str),
    ("sites", "model", "sites", int),
    ("links", "model", "links", int),
    ("rank", "cell", "rank", int),
    ("length", "cell", "length", int),
    ("seed", "cell", "seed", int),
    ("lr", "cell", "lr", float),
    ("trainable_params", "model", "trainable_params", int),
    ("total_params", "model", "total_params", int),
    ("accuracy", "scores", "accuracy", float),
    ("accuracy_low", "scores", "accuracy_low", float),
    ("accuracy_high", "scores", "accuracy_high", float),
    ("train_tokens_per_s", "cost", "train_tokens_per_s", float),
    ("eval_tokens_per_s", "cost", "eval_tokens_per_s", float),
    ("train_peak_bytes", "cost", "train_peak_bytes", int),
    ("eval_peak_bytes", "cost", "eval_peak_bytes", int),
    ("wall_s", "seconds", "wall", float),
    ("dtype", "model", "dtype", str),
    ("attention", "model", "attention", str),
    ("device", "model", "device", str),
)
EXTRAS: tuple[_Source, ...] = (
    ("arm", "", "arm", str),
    ("macro_f1", "scores", "macro_f1", float),
    ("validation_accuracy", "scores", "validation_accuracy", float),
    ("validation_loss", "scores", "validation_loss", float),
    ("test_examples", "scores", "test_examples", int),
    ("train_tokens_per_s_low", "cost", "train_tokens_per_s_low", float),
    ("train_tokens_per_s_high", "cost", "train_tokens_per_s_high", float),
    ("eval_tokens_per_s_low", "cost", "eval_tokens_per_s_low", float),
    ("eval_tokens_per_s_high", "cost", "eval_tokens_per_s_high", float),
    ("base_bytes", "cost", "base_bytes", int),
    *((f"{name}_s", "seconds", name, float) for name in ("load", "data", "train", "eval", "probe")),
    ("dropout", "model", "dropout", str),
    ("majority", "data", "majority", float),
    ("truncated", "data", "truncated", float),
    ("tokens_median", "data", "tokens_median", float),
    ("task_revision", "data", "task_revision", str),
    ("examples", "cell", "examples", int),
    ("epochs", "cell", "epochs", int),
    ("batch_size", "cell", "batch_size", int),
    ("steps", "cell", "steps", int),
    ("started", "environment", "started", str),
    *((name, "environment", name, str) for name in ("python", "torch", "transformers", "peft")),
    *((name, "environment", name, str) for name in ("platform", "cpu", "commit")),
    ("cores", "environment", "cores", int),
    ("memory_gib", "environment", "memory_gib", float),
)
ADDED: tuple[tuple[str, type], ...] = (
    ("options", str),
    ("error", str),
    ("log", str),
    ("attempt", int),
    ("in_sweep", bool),
    ("run", str),
)
"""Columns made here. `in_sweep`: the run's manifest still lists this cell."""

_NAME = re.compile(r"^(?P<id>[^.]+)(?:\.retry(?P<attempt>\d+))?\.json$")
_METHOD_ORDER = {"full": 0, "lora": 1, "ssmlora": 2, BASELINE: 9}


@dataclass(frozen=True)
class Result:
    """One cell's outcome: its row (every column of the table) and what no column holds."""

    row: dict[str, Any]
    curve: list[dict[str, float | None]] = field(default_factory=list)
    correct: dict[str, bool] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

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


class _Malformed(Exception):
    """What is wrong with a cell file, in a few words."""


def load_run(run_dir: Path) -> Run:
    """Read a run folder; a cell file that cannot be used is named and left out.

    Of a cell that was run several times the last readable attempt counts.
    """
    manifest = _read_manifest(run_dir)
    ids = [str(i) for i in manifest["ids"]] if isinstance(manifest.get("ids"), list) else None
    name = str(manifest.get("name") or run_dir.resolve().name)
    unreadable: list[tuple[str, str]] = []
    last: dict[str, tuple[int, Result]] = {}
    for path in sorted((run_dir / "cells").glob("*.json")):
        match = _NAME.match(path.name)
        try:
            if not match:
                raise _Malformed("its name is not <id>.json or <id>.retry<n>.json")
            attempt = int(match["attempt"] or 0)
            result = _parse(path, attempt, ids, name)
        except (_Malformed, OSError, ValueError, RecursionError) as error:
            reason = "not valid JSON" if isinstance(error, ValueError) else str(error)
            unreadable.append((path.name, reason))
            continue
        if match["id"] not in last or last[match["id"]][0] < attempt:
            last[match["id"]] = (attempt, result)
    results = sorted((result for _, result in last.values()), key=lambda result: result.order)
    try:
        sweep = (run_dir / "sweep.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        sweep = ""
    return Run(run_dir, name, results, unreadable, manifest, ids, sweep)


def arm_order(result: Result) -> tuple[int, str, float, str]:
    """Sorts arms: full, LoRA, SSMLoRA, other methods, the baseline; dense before sparse."""
    method = str(result["method"])
    return (
        _METHOD_ORDER.get(method, 5),
        method,
        -(1.0 if result["density"] is None else result["density"]),
        str(result["arm"]),
    )


def density_text(density: float) -> str:
    """A density as arms are labelled: `1/2`."""
    return str(Fraction(density).limit_denominator(64))


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, flush to disk, then rename: a reader sees all of it or none."""
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def number(value: Any) -> float | None:
    """A finite number as float, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _read_manifest(run_dir: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _parse(path: Path, attempt: int, ids: list[str] | None, run: str) -> Result:
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise _Malformed("not a JSON object")
    if data.get("format") != 1:
        raise _Malformed(f"format {data.get('format')!r} is not known here")
    sections = {"": data}
    for name in ("cell", "model", "scores", "cost", "seconds", "data", "environment", "error"):
        section = data.get(name)
        if section is not None and not isinstance(section, dict):
            raise _Malformed(f"{name} is not an object")
        sections[name] = section or {}
    row = {name: _value(sections[part], key, kind) for name, part, key, kind in HOUSE + EXTRAS}
    if row["status"] not in STATUSES:
        raise _Malformed(f"status {row['status']!r} is not one of {', '.join(STATUSES)}")
    if row["kind"] not in KINDS:
        raise _Malformed(f"kind {row['kind']!r} is not one of {', '.join(KINDS)}")
    if row["id"] is None or row["method"] is None or (row["length"] or 0) < 1:
        raise _Malformed("id, method or length is missing")
    row["arm"] = row["arm"] or row["method"]
    # A failed cell may not know its device and dtype from a model: what was asked stands in.
    for name in ("dtype", "device"):
        row[name] = row[name] or _value(sections["cell"], name, str)
    options = sections["cell"].get("options")
    error = sections["error"]
    told = [str(error[key]) for key in ("type", "message") if error.get(key)]
    row |= {
        "options": json.dumps(options, sort_keys=True) if options else None,
        "error": ": ".join(told) or None,
        "log": str(error["log"]) if error.get("log") else None,
        "attempt": attempt,
        "in_sweep": ids is None or row["id"] in ids,
        "run": run,
    }
    environment = {k: str(v) for k, v in sections["environment"].items() if v is not None}
    return Result(row, _curve(data.get("curve")), _correct(data.get("predictions")), environment)


def _value(section: dict[str, Any], key: str, kind: type) -> Any:
    value = section.get(key)
    if value is None:
        return None
    if kind is str:
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Malformed(f"{key} is not a number")
    if not math.isfinite(value):
        return None
    return int(value) if kind is int else float(value)


def _curve(points: Any) -> list[dict[str, float | None]]:
    if not isinstance(points, list):
        return []
    return [{k: number(v) for k, v in p.items()} for p in points if isinstance(p, dict)]


def _correct(predictions: Any) -> dict[str, bool]:
    """For each test example, by its id, whether the prediction was right."""
    if not isinstance(predictions, dict):
        return {}
    parts = [predictions.get(name) for name in ("ids", "labels", "predicted")]
    if not all(isinstance(part, list) for part in parts):
        return {}
    return {str(i): label == said for i, label, said in zip(*parts, strict=False)}  # type: ignore[arg-type]
