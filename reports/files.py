"""A run folder as read from disk: cells as typed results, what could not be read, the manifest.

Result files may come from elsewhere: nothing in them is trusted beyond its type and range.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from reports import extras
from reports.columns import EXTRAS, HOUSE
from reports.values import Malformed, clean, column, number

FAILURES = ("oom", "diverged", "timeout", "error")
STATUSES = ("ok", *FAILURES)
KINDS = ("train", "probe")
BASELINE = "tfidf"
BASE = "base"
"""The backbone as it is, untrained."""
REFERENCES = (BASELINE, BASE)
"""Methods that train no part of the backbone: what arms are held against, no arms themselves."""
LM_EVAL = "lm_eval"
"""The task of cells that are evaluated by lm-eval and have no score of their own."""
ACCURACY = "accuracy"
LOSS = "loss"
CHAINED = "ssmlora"
"""The method whose sites pass a state on: the links of others are none."""

_NAME = re.compile(r"^(?P<id>[^.]+)(?:\.retry(?P<attempt>\d+))?\.json$")
_METHOD_ORDER = {"full": 0, "lora": 1, "ssmlora": 2, BASE: 8, BASELINE: 9}


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
    by_position: tuple[extras.Bin, ...] = ()
    evaluations: tuple[extras.Evaluation, ...] = ()
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
    """Read a run folder; a cell file that cannot be used is named and left out.

    Of a cell that was run several times the last readable attempt counts.
    """
    manifest = _read_manifest(run_dir)
    ids = [str(i) for i in manifest["ids"]] if isinstance(manifest.get("ids"), list) else None
    wanted = None if ids is None else frozenset(ids)
    name = clean(manifest.get("name") or run_dir.resolve().name)
    unreadable: list[tuple[str, str]] = []
    last: dict[str, tuple[int, Result]] = {}
    for path in sorted((run_dir / "cells").glob("*.json")):
        match = _NAME.match(path.name)
        try:
            if not match:
                raise Malformed("its name is not <id>.json or <id>.retry<n>.json")
            attempt = int(match["attempt"] or 0)
            result = _parse(path, attempt, wanted, name)
            if result["id"] != match["id"]:
                raise Malformed(f"its id is {result['id']}, which its name does not say")
        except (Malformed, OSError, ValueError, RecursionError) as error:
            unreadable.append((clean(path.name), _reason(error)))
            continue
        if match["id"] not in last or last[match["id"]][0] < attempt:
            last[match["id"]] = (attempt, result)
    results = sorted((result for _, result in last.values()), key=lambda result: result.order)
    try:
        sweep = (run_dir / "sweep.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        sweep = ""
    planned = _planned(sweep, results)
    results = [replace(result, planned=planned) for result in results]
    return Run(run_dir, name, results, unreadable, manifest, ids, sweep)


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
        _METHOD_ORDER.get(method, 5),
        method,
        -(1.0 if result["density"] is None else result["density"]),
        str(result["arm"]),
    )


def density_text(density: float) -> str:
    """A density as arms are labelled: `1/2`."""
    return str(Fraction(density).limit_denominator(64))


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, flush to disk, then rename: a reader sees all of it or none.

    Raises:
        OSError: it cannot be written; the file is named.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:  # of a full disk it does not say which file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        part.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not valid JSON" if isinstance(error, ValueError) else clean(error)


def _read_manifest(run_dir: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((run_dir / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _parse(path: Path, attempt: int, ids: frozenset[str] | None, run: str) -> Result:
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise Malformed("not a JSON object")
    if data.get("format") != 1:
        raise Malformed(f"format {data.get('format')!r} is not known here")
    sections = {"": data}
    for name in ("cell", "model", "scores", "cost", "seconds", "data", "environment", "error"):
        section = data.get(name)
        if section is not None and not isinstance(section, dict):
            raise Malformed(f"{name} is not an object")
        sections[name] = section or {}
    loss = _is_loss(sections["scores"])
    row = {
        name: column(sections[part], key, kind, loss) for name, part, key, kind in HOUSE + EXTRAS
    }
    if row["status"] not in STATUSES:
        raise Malformed(f"status {row['status']!r} is not one of {', '.join(STATUSES)}")
    if row["kind"] not in KINDS:
        raise Malformed(f"kind {row['kind']!r} is not one of {', '.join(KINDS)}")
    if row["id"] is None or row["method"] is None or (row["length"] or 0) < 1:
        raise Malformed("id, method or length is missing")
    row["arm"] = row["arm"] or row["method"]
    if row["method"] != BASELINE:  # a failed cell may have no model to tell: what was asked
        for name in ("dtype", "device"):
            row[name] = row[name] or column(sections["cell"], name, str)
    for name in ("score", "score_low", "score_high", "validation_score"):
        if row[name] is None:  # files from before other metrics name the accuracy alone
            row[name] = row[name.replace("score", "accuracy")]
    if loss:
        row["metric"] = LOSS
    elif row["metric"] is None and row["validation_accuracy"] is not None:
        row["metric"] = ACCURACY
    if loss and row["perplexity"] is None and row["score"] is not None and row["score"] < 700:
        row["perplexity"] = math.exp(row["score"])
    options = sections["cell"].get("options")
    error = sections["error"]
    told = [clean(error[key]) for key in ("type", "message") if error.get(key)]
    row |= {
        "options": clean(json.dumps(options, sort_keys=True)) if options else None,
        "error": ": ".join(told) or None,
        "log": clean(error["log"]) if error.get("log") else None,
        "attempt": attempt,
        "in_sweep": ids is None or row["id"] in ids,
        "run": run,
        "whole_texts": sections["data"].get("whole_texts") is True,
        "backbone_revision": _revision(sections["cell"], "backbone"),
    }
    row["task_revision"] = row["task_revision"] or _revision(sections["cell"], "task")
    environment = {clean(k): clean(v) for k, v in sections["environment"].items() if v is not None}
    # Being right or wrong, text by text, makes up an accuracy and no other metric.
    predictions = data.get("predictions")
    right = extras.correct(predictions) if row["metric"] == ACCURACY else {}
    if "majority" not in sections["scores"] and row["metric"] == ACCURACY:
        # Files from before this field name the share among the training texts, which is no score.
        row["majority"] = extras.best_constant(predictions)
    return Result(
        row,
        extras.curve(data.get("curve")),
        right,
        environment,
        extras.marks(predictions),
        extras.bins(sections["scores"].get("by_position")) if loss else (),
        extras.evaluations(data.get("evaluations")),
        extras.asked(sections["cell"]),
    )


def _revision(cell: dict[str, Any], what: str) -> str | None:
    """The version of the data or the weights that a cell asked for."""
    revisions = cell.get("revisions")
    value = revisions.get(what) if isinstance(revisions, dict) else None
    return clean(value) if isinstance(value, str) and value else None


def _is_loss(scores: dict[str, Any]) -> bool:
    """Whether a file's scores are losses. A study may not name its metric; a loss is told by
    being both the score and the loss of the validation split."""
    name, value = scores.get("metric"), number(scores.get("validation_score"))
    if name is None and scores.get("validation_accuracy") is None and value is not None:
        return value == number(scores.get("validation_loss"))
    return bool(name == LOSS)
