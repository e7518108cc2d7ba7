"""The columns of results.csv and of `load_results`: where each is found in a result file."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from harness.core.levers import Levers
from harness.core.methods import TFIDF
from harness.core.metrics import METRICS
from harness.core.result import LIVE_PARTS, CellResult
from harness.core.timing import MERGED, USE_PHASES
from harness.core.values import clean


class Column(NamedTuple):
    """A column: its name, its place in `CellResult` (dotted), and its type."""

    name: str
    place: str
    kind: type


def _same(section: str, kind: type, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, f"{section}.{name}".lstrip("."), kind) for name in names)


_USE = (*USE_PHASES, *MERGED.values())

CORE_COLUMNS = (
    *_same("", str, "id", "kind", "status"),
    *_same("cell", str, "task", "backbone", "method"),
    *_same("cell", float, "density"),
    *_same("cell", str, "placement"),
    *_same("model", int, "sites", "links"),
    *_same("cell", int, "rank", "length", "seed"),
    *_same("cell", float, "lr"),
    *_same("model", int, "trainable_params", "total_params"),
    *_same("scores", float, "accuracy", "accuracy_low", "accuracy_high"),
    *_same("cost", float, "train_tokens_per_s", "eval_tokens_per_s"),
    *_same("cost", int, "train_peak_bytes", "eval_peak_bytes"),
    Column("wall_s", "seconds.wall", float),
    *_same("model", str, "dtype", "attention", "device"),
)
"""Columns that scripts may rely on, in this order."""

EXTRA_COLUMNS = (
    *_same("", str, "arm"),
    *_same("scores", str, "metric"),
    *_same("scores", float, "score", "score_low", "score_high"),
    *_same("scores", float, "validation_score", "validation_accuracy", "validation_loss"),
    *_same("scores", int, "test_examples"),
    *_same("scores.secondary", float, *(n for n in METRICS if n not in ("accuracy", "loss"))),
    *_same("scores", float, "perplexity", "all_tokens_loss", "majority"),
    *_same("cost", float, "train_tokens_per_s_low", "train_tokens_per_s_high"),
    *_same("cost", float, "eval_tokens_per_s_low", "eval_tokens_per_s_high"),
    *_same(
        "cost",
        float,
        *(f"{phase}_tokens_per_s{end}" for phase in _USE for end in ("", "_low", "_high")),
    ),
    *_same("cost", int, "kv_cache_bytes"),
    *_same("cost", str, "merge_note"),
    Column("timing_group", "timing.group", str),
    *_same("timing", int, "rounds"),
    *_same("timing", float, "train_cpu_s", "eval_cpu_s"),
    *_same("timing", int, "train_flops", "eval_flops"),
    *_same("timing", float, "peak_flops_per_s", "train_peak_share"),
    *_same("cost", int, "base_bytes", "train_live_peak_bytes", "eval_live_peak_bytes"),
    *_same("cost", int, *(f"live_{part}_bytes" for part in LIVE_PARTS)),
    *_same("cost", int, "train_resident_bytes", "eval_resident_bytes"),
    *_same("cost", str, "memory_note"),
    *(Column(f"{n}_s", f"seconds.{n}", float) for n in ("load", "data", "train", "eval", "probe")),
    *_same("model", str, "dropout", "lm_loss"),
    *_same("model", int, "shared_blocks", "lowest_layer"),
    *_same("data", float, "truncated", "tokens_median", "reach"),
    *_same("data", int, "longest"),
    *_same("data", bool, "whole_texts"),
    *_same("data", str, "task_revision"),
    Column("backbone_revision", "cell.revisions.backbone", str),
    *_same("cell", str, "lr_source", "curriculum", "target"),
    *_same("cell", float, "head_lr"),
    *_same("cell", int, "examples", "epochs", "batch_size", "steps", "window", "target_tokens"),
    *_same("cell", int, "decode"),
    *_same("environment", str, "started", "python", "torch", "transformers", "peft"),
    *_same("environment", str, "platform", "cpu", "gpu", "commit"),
    *_same("environment", str, "host"),
    *_same("environment", int, "cores", "threads"),
    *_same("environment", float, "memory_gib"),
    *_same("", int, "protocol"),
    Column("options", "cell.options", str),
    Column("levers", "cell.levers", str),
    Column("error", "error", str),
    Column("log", "error.log", str),
)
"""Further columns; later versions may add to them."""


def row(result: CellResult) -> dict[str, Any]:
    """Return all columns of a result; None where a value does not apply."""
    found = {column.name: _value(result, column, path) for column, path in _PATHS}
    if result.model is None and result.cell.method != TFIDF:
        # A failed cell may have no model: what was asked for.
        found["dtype"], found["device"] = result.cell.dtype, result.cell.device
    if found["task_revision"] is None and (asked := result.cell.revisions.get("task")):
        found["task_revision"] = clean(asked)
    return found


_PATHS = [(column, tuple(column.place.split("."))) for column in CORE_COLUMNS + EXTRA_COLUMNS]


def _value(result: CellResult, column: Column, path: tuple[str, ...]) -> Any:
    value: Any = result
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    if value is None or column.kind is not str:
        return value
    if column.name in ("options", "levers"):
        value = value.settings if isinstance(value, Levers) else value
        return clean(json.dumps(value, sort_keys=True)) if value else None
    if column.name == "error":
        return ": ".join(part for part in (value.type, value.message) if part) or None
    return clean(value)
