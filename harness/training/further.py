"""Evaluations of a trained model beyond the test at its own length.

They show where a score comes from: other lengths, the position of the evidence, and unrelated text.
A failure is an evaluation with a status, and the cell keeps its other results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from harness.core.cell import Cell
from harness.core.errors import log_traceback, one_line
from harness.core.metrics import METRICS
from harness.core.result import ACCURACY, POSITION_PARTS, Evaluation, EvaluationKind
from harness.models.position_tables import extend_positions
from harness.training.batches import Encoded
from harness.training.evaluate import evaluate
from harness.training.failures import status_of
from tasks.types.base import Target


def at_other_lengths(
    model: Any, cell: Cell, test_at: Callable[[Cell], Encoded], pad_id: int
) -> list[Evaluation]:
    """Test the model at the cell's `test_lengths`; `test_at` encodes the test texts of a cell.

    A position table is extended here, after training, so that training does not depend on it.
    """
    if not cell.test_lengths:
        return []
    encoder = _encoder(model)
    with suppress(ValueError):  # once, because a table that is extended twice repeats other rows
        extend_positions(encoder, cell.virtual_tokens + max(cell.test_lengths))

    def at(length: int) -> Callable[[], Evaluation]:
        def run() -> Evaluation:
            there = cell.model_copy(update={"length": length})
            extend_positions(encoder, there.virtual_tokens + length)
            data = test_at(there)
            answers = evaluate(model, there, data, pad_id).answers
            return _scored("length", data, answers, data.targets, length=length)

        return run

    task = str(cell.task)
    return [_recorded(at(length), "length", task, length) for length in cell.test_lengths]


def by_evidence(cell: Cell, test: Encoded, answers: Sequence[Target]) -> list[Evaluation]:
    """Score the answers of a test by the position of the evidence, from the same forward pass.

    There is one evaluation for each part of the text that has evidence; its `position` is the
    middle of the part.
    """
    parts: dict[int, list[int]] = {}
    for example, share in enumerate(test.positions):
        if share is not None:
            part = min(POSITION_PARTS - 1, int(POSITION_PARTS * share))
            parts.setdefault(part, []).append(example)
    return [
        _scored(
            "position",
            test,
            [answers[k] for k in parts[part]],
            [test.targets[k] for k in parts[part]],
            position=cell.length * (2 * part + 1) // (2 * POSITION_PARTS),
        )
        for part in sorted(parts)
    ]


def on_unrelated_text(
    model: Any, cell: Cell, unrelated: Callable[[], Encoded], pad_id: int
) -> list[Evaluation]:
    """Measure the loss on texts of the cell's `forgetting` task, with the score of each text."""
    if cell.forgetting is None:
        return []

    def run() -> Evaluation:
        data = unrelated()
        answers = evaluate(model, cell, data, pad_id).answers
        return _scored("forgetting", data, answers, data.targets)

    return [_recorded(run, "forgetting", cell.forgetting)]


def _scored(
    kind: EvaluationKind,
    data: Encoded,
    answers: Sequence[Target],
    targets: Sequence[Target],
    *,
    length: int | None = None,
    position: int | None = None,
) -> Evaluation:
    metric = METRICS[data.metadata.metric]
    value, low, high = metric.score_with_interval(answers, targets)
    by_text = position is None and (metric.by_text or metric.name == ACCURACY)
    return Evaluation(
        kind=kind,
        task=data.metadata.name,
        metric=metric.name,
        value=value,
        low=low,
        high=high,
        examples=len(targets),
        higher_is_better=metric.higher_is_better,
        length=length,
        position=position,
        scores=[*metric.example_scores(answers, targets)] if by_text else [],
        status="ok",
    )


def _recorded(
    run: Callable[[], Evaluation], kind: EvaluationKind, task: str, length: int | None = None
) -> Evaluation:
    """Run an evaluation; return its result or its failure, with the time."""
    start = time.perf_counter()
    try:
        found = run()
    except Exception as error:
        log_traceback()
        message = f"{type(error).__name__}: {one_line(error)}"
        found = Evaluation(
            kind=kind, task=task, length=length, status=status_of(error), message=message
        )
    return found.model_copy(update={"seconds": time.perf_counter() - start})


def _encoder(model: Any) -> Any:
    """The backbone without its head and without a PEFT wrapper."""
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    return getattr(inner, inner.base_model_prefix, inner)
