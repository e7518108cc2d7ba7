"""One cell from start to end: load, train or probe, evaluate. Returns the content of its file.

A failure inside is an outcome like any other: what was known by then is kept beside its status.
"""

from __future__ import annotations

import random
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.backbones import (
    Backbone,
    describe_dropout,
    load_classifier,
    load_tokenizer,
)
from harness.batches import encode
from harness.cell_result import new_result
from harness.cells import BASELINE, Cell
from harness.meter import MemoryMeter, Stopwatch
from harness.methods import adapt
from harness.training import Diverged, attention_kernel, evaluate, probe, train
from tasks import Splits, load_task


def run_cell(
    cell: Cell, backbone: Path, machine: dict[str, Any], tasks_dir: Path | None = None
) -> dict[str, Any]:
    """Run one cell in this process and return its result, whatever becomes of it.

    A traceback goes to standard error, which a worker has turned into the cell's log.
    """
    start = time.perf_counter()
    meter = MemoryMeter(cell.device)
    watch = Stopwatch()
    result = new_result(cell, machine)
    result["cost"] = {"base_bytes": meter.current()}
    try:
        _seed(cell.seed)
        source = Backbone(cell.backbone, backbone, "")
        if cell.kind == "probe":
            _probe(cell, source, result, watch, meter)
        elif cell.method == BASELINE:
            _baseline(cell, source, result, watch, tasks_dir)
        else:
            _train(cell, source, result, watch, meter, tasks_dir)
        result["status"] = "ok"
    except Exception as error:
        traceback.print_exc()
        result["status"] = _status_of(error)
        text = str(error).strip().splitlines() or [""]
        result["error"] = {
            "type": type(error).__name__,
            "message": text[0][:300],
            "log": f"logs/{cell.id}.log",
        }
    result["seconds"] = {**watch.seconds, "wall": time.perf_counter() - start}
    return result


def _train(
    cell: Cell,
    backbone: Backbone,
    result: dict[str, Any],
    watch: Stopwatch,
    meter: MemoryMeter,
    tasks_dir: Path | None,
) -> None:
    with watch.phase("data"):
        tokenizer = load_tokenizer(backbone)
        splits, labels = _splits(cell, tasks_dir)
        training, validation, test = (encode(part, tokenizer, cell.length) for part in splits)
        result["data"] = _describe_data(cell, training.ids, training.labels, training.truncated)
    model = _load(cell, backbone, len(labels), result, watch, tokenizer.pad_token_id)
    outcome = train(model, cell, training, validation, tokenizer.pad_token_id, watch, meter)
    result["curve"] = outcome["curve"]
    result["scores"] = outcome["scores"]
    result["cost"] |= outcome["cost"]
    if not test.ids:
        return
    meter.reset()
    with watch.phase("eval"):
        seen = evaluate(model, cell, test, tokenizer.pad_token_id)
    result["cost"] |= {**seen.rate.row("eval_tokens_per_s", steady=False)}
    result["cost"]["eval_peak_bytes"] = meter.peak()
    _score(result, test.names, test.labels, seen.predicted)


def _probe(
    cell: Cell, backbone: Backbone, result: dict[str, Any], watch: Stopwatch, meter: MemoryMeter
) -> None:
    model = _load(cell, backbone, 2, result, watch, pad_token_id=0)
    with watch.phase("probe"):
        result["cost"] |= probe(model, cell, int(model.config.vocab_size), meter)


def _baseline(
    cell: Cell, backbone: Backbone, result: dict[str, Any], watch: Stopwatch, tasks_dir: Path | None
) -> None:
    """TF-IDF and logistic regression on the same texts, cut where the backbone's are cut."""
    from tasks.baseline import tfidf_baseline

    with watch.phase("data"):
        tokenizer = load_tokenizer(backbone)
        splits, _ = _splits(cell, tasks_dir)
        training, validation, test = (encode(part, tokenizer, cell.length) for part in splits)
        result["data"] = _describe_data(cell, training.ids, training.labels, training.truncated)
    with watch.phase("train"):
        texts = validation.kept + test.kept
        predicted = list(tfidf_baseline(training.kept, training.labels, texts))
    held = len(validation.kept)
    right = sum(p == y for p, y in zip(predicted, validation.labels, strict=False))
    result["scores"] = {"validation_accuracy": right / max(1, held)}
    if test.ids:
        _score(result, test.names, test.labels, [int(label) for label in predicted[held:]])


def _splits(cell: Cell, tasks_dir: Path | None) -> tuple[Splits, tuple[str, ...]]:
    assert cell.task is not None
    task = load_task(cell.task, tasks_dir)
    whole = task.splits(cell.length, cell.seed)
    sizes = (cell.examples, cell.validation_examples, cell.test_examples)
    parts = [part[:size] for part, size in zip(whole, sizes, strict=True)]
    return Splits(*parts), task.metadata.labels


def _load(
    cell: Cell,
    backbone: Backbone,
    labels: int,
    result: dict[str, Any],
    watch: Stopwatch,
    pad_token_id: int | None,
) -> Any:
    with watch.phase("load"):
        model: Any = load_classifier(backbone, labels, cell.length, cell.dropout, pad_token_id)
        adapted = adapt(model, cell)
        model = adapted.model.to(cell.device)
        parameters = list(model.parameters())
        result["model"] = {
            "sites": adapted.sites,
            "links": adapted.links,
            "trainable_params": sum(p.numel() for p in parameters if p.requires_grad),
            "total_params": sum(p.numel() for p in parameters),
            "attention": attention_kernel(model, cell, int(model.config.vocab_size)),
            "dropout": describe_dropout(model.config),
            "dtype": "bfloat16 autocast" if cell.dtype == "bfloat16" else cell.dtype,
            "device": cell.device,
        }
    return model


def _score(
    result: dict[str, Any], names: list[str], labels: list[int], predicted: list[int]
) -> None:
    from scipy.stats import binomtest
    from sklearn.metrics import f1_score

    right = sum(p == y for p, y in zip(predicted, labels, strict=True))
    interval = binomtest(right, len(labels)).proportion_ci(0.95, method="wilson")
    result["scores"] = {
        **(result["scores"] or {}),
        "accuracy": right / len(labels),
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "test_examples": len(labels),
    }
    result["predictions"] = {"ids": names, "labels": labels, "predicted": predicted}


def _describe_data(
    cell: Cell, ids: list[list[int]], labels: list[int], truncated: int
) -> dict[str, Any]:
    counts = np.bincount(labels)
    return {
        "truncated": truncated / len(ids),
        "tokens_median": float(np.median([len(row) for row in ids])),
        "majority": float(counts.max() / counts.sum()),
        "task_revision": cell.revisions.get("task"),
    }


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _status_of(error: Exception) -> str:
    if isinstance(error, Diverged):
        return "diverged"
    allocator = "can't allocate memory" in str(error) or "std::bad_alloc" in str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or allocator:
        return "oom"
    return "error"
