"""Reads result files of format 1: the same content with other names and some derived values."""

from __future__ import annotations

from typing import Any

from harness.core.cell import Cell
from harness.core.values import number

_SECONDARY = ("macro_f1", "rouge_l", "exact_match")
_FIELDS = {*Cell.model_fields, "writes"}


def upgrade(data: dict[str, Any], newest: int) -> dict[str, Any]:
    """Return the content of a result file in the newest format.

    Raises:
        ValueError: the format is not known.
    """
    version = data.get("format", newest)
    if isinstance(version, bool) or version not in range(1, newest + 1):
        raise ValueError(f"format {version!r} is not known here")
    data = {**data, "format": newest}
    cell = data.get("cell")
    if isinstance(cell, dict):
        data["cell"] = {key: value for key, value in cell.items() if key in _FIELDS}
        # Baselines of early versions had no backbone.
        data["cell"]["backbone"] = data["cell"].get("backbone") or ""
    if version == newest:
        return data
    data["protocol"] = data.get("recipe")
    if data.get("arm") is None and isinstance(cell, dict):
        data["arm"] = cell.get("method")
    for name in ("curve", "evaluations", "environment", "seconds"):
        if data.get(name) is None:
            data.pop(name, None)
    scores = data.get("scores")
    if isinstance(scores, dict):
        data["scores"] = _scores(scores, data.get("predictions"))
    if isinstance(data.get("curve"), list):
        data["curve"] = [_point(p) for p in data["curve"] if isinstance(p, dict)]
    return data


def _scores(scores: dict[str, Any], predictions: Any) -> dict[str, Any]:
    scores = {key: value for key, value in scores.items() if value is not None or key == "majority"}
    scores["secondary"] = {key: scores.pop(key) for key in _SECONDARY if key in scores}
    for name in ("score", "score_low", "score_high", "validation_score"):
        accuracy = scores.get(name.replace("score", "accuracy"))
        if name not in scores and accuracy is not None:
            scores[name] = accuracy
    if "metric" not in scores:
        if "validation_accuracy" in scores:
            scores["metric"] = "accuracy"
        elif number(value := scores.get("validation_score")) is not None:
            # A study did not name its metric; a loss is the score and the loss of validation.
            scores |= {"metric": "loss"} if value == scores.get("validation_loss") else {}
    if "majority" not in scores and scores.get("metric") == "accuracy":
        labels = predictions.get("labels") if isinstance(predictions, dict) else None
        if isinstance(labels, list) and labels and all(type(v) is int for v in labels):
            scores["majority"] = max(map(labels.count, set(labels))) / len(labels)
    return scores


def _point(point: dict[str, Any]) -> dict[str, float | None]:
    found = {key: number(value) for key, value in point.items()}
    found.setdefault("validation_score", found.get("validation_accuracy"))
    return found
