"""One cell from start to end: load, train or probe, evaluate. Returns the content of its file.

A failure inside is an outcome like any other: what was known by then is kept beside its status.
"""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.backbones import (
    Backbone,
    describe_dropout,
    load_classifier,
    load_tokenizer,
)
from harness.batches import Encoded, Target, encode
from harness.cell_result import new_result
from harness.cells import BASELINE, Cell
from harness.errors import told
from harness.heads import outputs_of
from harness.meter import MemoryMeter, Stopwatch
from harness.methods import adapt
from harness.scores import full_scores, validation_scores
from harness.training import Diverged, attention_kernel, evaluate, probe, train
from tasks import TaskMetadata, load_task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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
        result["error"] = {
            "type": type(error).__name__,
            "message": told(error),
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
        tokenizer, metadata, (training, validation, test) = _data(cell, backbone, tasks_dir)
        result["data"] = _describe_data(cell, training)
    model = _load(cell, backbone, metadata, result, watch, tokenizer.pad_token_id)
    pad_id = tokenizer.pad_token_id
    outcome = train(model, cell, training, validation, pad_id, metadata, watch, meter)
    result["curve"] = outcome["curve"]
    result["scores"] = outcome["scores"]
    result["cost"] |= outcome["cost"]
    if not len(test):
        return
    meter.reset()
    with watch.phase("eval"):
        seen = evaluate(model, cell, test, pad_id, metadata)
    result["cost"] |= seen.rate.row("eval_tokens_per_s", steady=False)
    result["cost"]["eval_peak_bytes"] = meter.peak()
    _score(result, test, seen.predicted, metadata)


def _probe(
    cell: Cell, backbone: Backbone, result: dict[str, Any], watch: Stopwatch, meter: MemoryMeter
) -> None:
    model = _load(cell, backbone, None, result, watch, pad_token_id=0)
    with watch.phase("probe"):
        result["cost"] |= probe(model, cell, int(model.config.vocab_size), meter)


def _baseline(
    cell: Cell, backbone: Backbone, result: dict[str, Any], watch: Stopwatch, tasks_dir: Path | None
) -> None:
    """TF-IDF and logistic regression on the same texts, cut where the backbone's are cut."""
    from tasks.baseline import baseline

    with watch.phase("data"):
        _, metadata, (training, validation, test) = _data(cell, backbone, tasks_dir)
        result["data"] = _describe_data(cell, training)
    with watch.phase("train"):
        texts = validation.kept + test.kept
        predicted = baseline(metadata, training.kept, training.targets, texts)
    held = len(validation)
    result["scores"] = validation_scores(predicted[:held], validation.targets, metadata.metric)
    if len(test):
        _score(result, test, predicted[held:], metadata)


def _data(
    cell: Cell, backbone: Backbone, tasks_dir: Path | None
) -> tuple[PreTrainedTokenizerBase, TaskMetadata, list[Encoded]]:
    """The tokenizer, what the task says of itself, and its three splits, cut and encoded."""
    assert cell.task is not None
    tokenizer = load_tokenizer(backbone)
    task = load_task(cell.task, tasks_dir)
    sizes = (cell.examples, cell.validation_examples, cell.test_examples)
    parts = zip(task.splits(cell.length, cell.seed), sizes, strict=True)
    encoded = [encode(part[:n], tokenizer, cell.length, task.metadata) for part, n in parts]
    return tokenizer, task.metadata, encoded


def _load(
    cell: Cell,
    backbone: Backbone,
    metadata: TaskMetadata | None,
    result: dict[str, Any],
    watch: Stopwatch,
    pad_token_id: int | None,
) -> Any:
    with watch.phase("load"):
        model: Any = load_classifier(
            backbone,
            outputs_of(metadata) if metadata else 2,
            cell.length,
            cell.dropout,
            pad_token_id,
            metadata.family if metadata else "classification",
        )
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
    result: dict[str, Any], test: Encoded, predicted: list[Target], metadata: TaskMetadata
) -> None:
    scores = full_scores(predicted, test.targets, metadata)
    result["scores"] = {**(result["scores"] or {}), **scores}
    result["predictions"] = {"ids": test.names, "labels": test.targets, "predicted": predicted}


def _describe_data(cell: Cell, training: Encoded) -> dict[str, Any]:
    common = Counter(training.targets).most_common(1)[0][1]
    return {
        "truncated": training.truncated / len(training),
        "tokens_median": float(np.median([len(row) for row in training.ids])),
        "majority": common / len(training),
        "task_revision": cell.revisions.get("task"),
    }


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _status_of(error: Exception) -> str:
    if isinstance(error, Diverged):
        return "diverged"
    told_by = (
        "can't allocate memory",
        "Cannot allocate memory",
        "std::bad_alloc",
        "error return without exception set",  # Python, with no memory left to make the exception
    )
    allocator = any(words in str(error) for words in told_by)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or allocator:
        return "oom"
    return "error"
