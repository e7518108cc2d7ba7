"""What a cell file holds beside its columns: curves, texts one by one, positions, evaluations.

Nothing in it is trusted beyond its type and range.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from reports.values import LONGEST, LOSSES, Malformed, clean, number

_MOST_BINS, _MOST_EVALUATIONS = 64, 200
EVALUATED = ("ok", "timeout", "error")


_ASKED = (
    "dtype", "device", "examples", "test_examples", "epochs", "batch_size", "warmup",
    "weight_decay", "clip", "dropout", "target", "writes", "evaluation_examples",
)  # fmt: skip
_LM_EVAL = "lm_eval:"


@dataclass(frozen=True)
class Bin:
    """Mean test loss (nats per token) at the positions from `start` up to `end`, in tokens."""

    start: int
    end: int
    loss: float


@dataclass(frozen=True)
class Evaluation:
    """A task of lm-eval on a cell's model. `value` is None unless `status` is ok."""

    task: str
    metric: str
    value: float | None
    stderr: float | None
    examples: int | None
    higher_is_better: bool
    status: str
    message: str
    version: str


def asked(cell: dict[str, Any]) -> dict[str, str]:
    """The settings of a cell as texts; those that are null or no single value are left out.

    `lm_eval` holds the versions of the tasks of lm-eval.
    """
    found = {}
    for name in _ASKED:
        value = cell.get(name)
        if isinstance(value, str | bool) or number(value) is not None:
            found[name] = f"{value:.12g}" if isinstance(value, float) else clean(value)
    revisions = cell.get("revisions")
    pins = revisions.items() if isinstance(revisions, dict) else ()
    told = [f"{name} {pin}" for name, pin in sorted(pins, key=str) if name.startswith(_LM_EVAL)]
    text = ", ".join(told)
    if len(text) > LONGEST:  # cutting it would make different ones equal
        text = f"{len(told)} tasks, {sha256(text.encode(errors='replace')).hexdigest()[:12]}"
    return found | ({"lm_eval": clean(text)} if told else {})


def curve(points: Any) -> list[dict[str, float | None]]:
    """Validation while training; what is no number is None."""
    if not isinstance(points, list):
        return []
    known = [{k: number(v) for k, v in p.items()} for p in points if isinstance(p, dict)]
    for point in known:
        point.setdefault("validation_score", point.get("validation_accuracy"))
    return known


def correct(predictions: Any) -> dict[str, bool]:
    """For each test example, by its id, whether the prediction was right."""
    if not isinstance(predictions, dict):
        return {}
    parts = [predictions.get(name) for name in ("ids", "labels", "predicted")]
    ids, labels, predicted = (part if isinstance(part, list) else [] for part in parts)
    found = {str(i): label == said for i, label, said in zip(ids, labels, predicted, strict=False)}
    same = len(found) == len(ids) == len(labels) == len(predicted)
    return found if same else {}


def best_constant(predictions: Any) -> float | None:
    """The accuracy of the best constant answer: the share of the most frequent right label."""
    labels = predictions.get("labels") if isinstance(predictions, dict) else None
    if not isinstance(labels, list) or not labels:
        return None
    if not all(isinstance(label, int) and not isinstance(label, bool) for label in labels):
        return None
    return Counter(labels).most_common(1)[0][1] / len(labels)


def marks(predictions: Any) -> dict[str, float]:
    """For each test example, by its id, its own score; empty unless every one has a number."""
    if not isinstance(predictions, dict):
        return {}
    ids, scores = predictions.get("ids"), predictions.get("scores")
    if not isinstance(ids, list) or not isinstance(scores, list) or len(ids) != len(scores):
        return {}
    found = {
        str(i): value
        for i, score in zip(ids, scores, strict=True)
        if (value := number(score)) is not None and 0 <= value <= LOSSES
    }
    return found if len(found) == len(ids) else {}


def bins(entries: Any) -> tuple[Bin, ...]:
    """Loss by position, positions rising. Bins without a loss are left out.

    Raises:
        Malformed: it is no list of bins that follow each other.
    """
    if entries is None:
        return ()
    if not isinstance(entries, list) or len(entries) > _MOST_BINS:
        raise Malformed(f"by_position is not a list of {_MOST_BINS} bins at most")
    found: list[Bin] = []
    reached = 0
    for entry in entries:
        if not isinstance(entry, dict):
            raise Malformed("by_position holds something that is not an object")
        start, end = (number(entry.get(key)) for key in ("start", "end"))
        if start is None or end is None or not reached <= start < end <= 2**40:
            raise Malformed("by_position has bins that do not follow each other")
        reached = int(end)
        loss = number(entry.get("loss"))
        if loss is not None and not 0 <= loss <= LOSSES:
            raise Malformed("by_position has a loss that none can be")
        if loss is not None:
            found.append(Bin(int(start), int(end), loss))
    return tuple(found)


def evaluations(entries: Any) -> tuple[Evaluation, ...]:
    """The tasks of lm-eval that a cell was evaluated on.

    Raises:
        Malformed: it is no list of evaluations.
    """
    if entries is None:
        return ()
    if not isinstance(entries, list) or len(entries) > _MOST_EVALUATIONS:
        raise Malformed(f"evaluations is not a list of {_MOST_EVALUATIONS} entries at most")
    return tuple(_evaluation(entry) for entry in entries)


def _evaluation(entry: Any) -> Evaluation:
    if not isinstance(entry, dict) or not isinstance(entry.get("task"), str):
        raise Malformed("evaluations holds something that names no task")
    status, better = entry.get("status"), entry.get("higher_is_better", True)
    if status not in EVALUATED:
        raise Malformed(f"an evaluation's status is not one of {', '.join(EVALUATED)}")
    value, stderr, examples = (number(entry.get(k)) for k in ("value", "stderr", "examples"))
    message = clean(entry.get("message") or "")
    if status == "ok" and (value is None or value == -1):
        # lm-eval gives -1 where it measured nothing: no such value may look like a score.
        status, message = "error", message or "lm-eval measured nothing"
    return Evaluation(
        task=clean(entry["task"]),
        metric=clean(entry.get("metric") or "score"),
        value=value if status == "ok" else None,
        stderr=stderr if status == "ok" and stderr is not None and stderr >= 0 else None,
        examples=int(examples) if examples is not None and examples >= 0 else None,
        higher_is_better=better is not False,
        status=status,
        message=message,
        version=clean(entry.get("version") or ""),
    )


def statuses(found: Sequence[Evaluation]) -> list[str]:
    """How each of these evaluations that failed did so."""
    return [one.status for one in found if one.status != "ok"]
