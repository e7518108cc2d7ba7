"""Metrics of classes and sets of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.metrics.base import Metric, mean, register

if TYPE_CHECKING:
    from harness.core.metrics.base import Array, Values


def _correct(predicted: Values, targets: Values) -> Array:
    import numpy as np

    return np.array([[float(p == y)] for p, y in zip(predicted, targets, strict=True)])


def _label_counts(predicted: Values, targets: Values) -> Array:
    """By example: labels in both sets, labels predicted, labels in the target."""
    import numpy as np

    rows = []
    for said, there in zip(predicted, targets, strict=True):
        one = set(said) if isinstance(said, tuple) else {said}
        other = set(there) if isinstance(there, tuple) else {there}
        rows.append((len(one & other), len(one), len(other)))
    return np.array(rows, dtype=float).reshape(-1, 3)


def _micro_f1(rows: Array) -> Array:
    import numpy as np

    sums = rows.sum(1)
    found, said, there = sums[..., 0], sums[..., 1], sums[..., 2]
    return np.where(said + there > 0, 2 * found / np.maximum(said + there, 1), 0.0)


def _class_counts(predicted: Values, targets: Values) -> Array:
    """By example, one-hot over classes: correct, predicted, target; shape (examples, 3 classes)."""
    import numpy as np

    said, there = np.array(predicted), np.array(targets)
    classes = np.arange(max(said.max(), there.max()) + 1)
    one, other = said[:, None] == classes, there[:, None] == classes
    return np.concatenate([one & other, one, other], 1).astype(float)


def _macro_f1(rows: Array) -> Array:
    """Mean F1 over the classes that are predicted or in the target."""
    import numpy as np

    correct, said, there = np.split(rows.sum(1), 3, axis=1)
    f1 = 2 * correct / np.maximum(said + there, 1)
    means: Array = f1.sum(1) / (said + there > 0).sum(1)
    return means


def _matthews(rows: Array) -> Array:
    """Matthews correlation for any number of classes (Gorodkin, 2004); 0 where undefined."""
    import numpy as np

    correct, said, there = np.split(rows.sum(1), 3, axis=1)
    count = rows.shape[1]
    covariance = correct.sum(1) * count - (said * there).sum(1)
    spread = (count**2 - (said**2).sum(1)) * (count**2 - (there**2).sum(1))
    return np.where(spread > 0, covariance / np.sqrt(np.maximum(spread, 1)), 0.0)


register(Metric("accuracy", "accuracy", _correct, mean, ("class", "choice"), interval="Wilson"))
register(Metric("micro_f1", "micro-F1", _label_counts, _micro_f1, ("set",)))
register(Metric("macro_f1", "macro-F1", _class_counts, _macro_f1, ("class",)))
register(Metric("matthews", "Matthews correlation", _class_counts, _matthews, ("class",), low=-1.0))
