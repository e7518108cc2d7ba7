"""What lm-eval found -> the entries of a cell's `evaluations`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from harness.core.result import Evaluation


def failed(
    task: str, status: Literal["timeout", "error"], message: str, metric: str = ""
) -> Evaluation:
    """The entry of a task, or of a metric, that has no value."""
    return Evaluation(task=task, metric=metric, status=status, message=message)


def entries_of(name: str, found: dict[str, Any], only: str | None) -> list[Evaluation]:
    """What lm-eval found, one entry a metric; `only` is RULER's metric of the length that was run.

    lm-eval names RULER's metrics by lengths and gives -1 for those that were not run.
    """
    better = found["higher_is_better"].get(name) or {}
    entries = []
    for key, value in found["results"][name].items():
        metric, _, chosen = str(key).partition(",")
        if not chosen or metric.endswith("_stderr") or (only and metric != only):
            continue
        short = "string match" if only else metric.replace("_", " ")
        short += f" ({chosen})" if chosen != "none" else ""
        number = isinstance(value, int | float) and math.isfinite(value)
        if not number or (only and value < 0):
            entries.append(failed(name, "error", f"lm-eval gives no value for {metric}", short))
            continue
        samples = [s for s in found["samples"][name] if s["filter"] == chosen]
        entries.append(
            Evaluation(
                task=name,
                metric=short,
                value=float(value),
                stderr=_stderr(float(value), [s.get(metric) for s in samples]),
                examples=len(samples),
                higher_is_better=bool(better.get(metric, True)),
                status="ok",
            )
        )
    missing = f"the metric of {only} tokens" if only else "a metric"
    return entries or [failed(name, "error", f"lm-eval's result lacks {missing}")]


def _stderr(value: float, parts: Sequence[Any]) -> float | None:
    """Standard error of a mean; None for what is no mean of its examples."""
    if len(parts) < 2 or not all(isinstance(part, int | float) for part in parts):
        return None
    mean = sum(parts) / len(parts)
    if not math.isclose(mean, value, rel_tol=1e-6, abs_tol=1e-9):
        return None
    spread = sum((part - mean) ** 2 for part in parts) / (len(parts) - 1)
    return math.sqrt(spread / len(parts))
