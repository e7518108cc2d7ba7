"""Turns the output of lm-eval into the `evaluations` of a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from harness.core.result import Evaluation


def failed(
    task: str, status: Literal["timeout", "error"], message: str, metric: str = ""
) -> Evaluation:
    """Return the entry of a task, or of a metric, without a value."""
    return Evaluation(task=task, metric=metric, status=status, message=message)


def entries_of(name: str, found: dict[str, Any], ruler_length: int | None) -> list[Evaluation]:
    """Return one entry per metric. `ruler_length` is the text length of a task of RULER, or None.

    lm-eval names RULER's metrics by lengths, and gives -1 for lengths that did not run.
    """
    better = found["higher_is_better"].get(name) or {}
    entries = []
    for key, value in found["results"][name].items():
        metric, _, chosen = str(key).partition(",")
        if not chosen or metric.endswith("_stderr"):
            continue
        if ruler_length is not None and metric != str(ruler_length):
            continue
        label = metric.replace("_", " ") if ruler_length is None else "string match"
        label += f" ({chosen})" if chosen != "none" else ""
        number = isinstance(value, int | float) and math.isfinite(value)
        if not number or (ruler_length is not None and value < 0):
            entries.append(failed(name, "error", f"lm-eval gives no value for {metric}", label))
            continue
        samples = [s for s in found["samples"][name] if s["filter"] == chosen]
        entries.append(
            Evaluation(
                task=name,
                metric=label,
                value=float(value),
                stderr=_stderr(float(value), [s.get(metric) for s in samples]),
                examples=len(samples),
                higher_is_better=bool(better.get(metric, True)),
                status="ok",
            )
        )
    missing = "a metric" if ruler_length is None else f"the metric of {ruler_length} tokens"
    return entries or [failed(name, "error", f"lm-eval's result lacks {missing}")]


def _stderr(value: float, scores: Sequence[Any]) -> float | None:
    """Standard error of a mean over examples; None if `value` is not the mean of `scores`."""
    if len(scores) < 2 or not all(isinstance(score, int | float) for score in scores):
        return None
    mean = sum(scores) / len(scores)
    if not math.isclose(mean, value, rel_tol=1e-6, abs_tol=1e-9):
        return None
    spread = sum((score - mean) ** 2 for score in scores) / (len(scores) - 1)
    return math.sqrt(spread / len(scores))
