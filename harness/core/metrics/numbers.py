"""Correlations of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.metrics.base import Metric, register

if TYPE_CHECKING:
    from harness.core.metrics.base import Array, Values


def _columns(predicted: Values, targets: Values) -> Array:
    import numpy as np

    return np.stack([np.array(predicted, dtype=float), np.array(targets, dtype=float)], 1)


def _pearson(rows: Array) -> Array:
    """Pearson's correlation; 0 where a column is constant, for which it is undefined."""
    import numpy as np

    # Equal numbers may have a mean that differs from them in the last bit: compare, then centre.
    constant = (rows == rows[:, :1]).all(1).any(1)
    centred = rows - rows.mean(1, keepdims=True)
    norms = np.sqrt((centred**2).sum(1)).prod(1)
    products = centred.prod(2).sum(1)
    undefined = constant | (norms == 0)
    return np.where(undefined, 0.0, np.clip(products / np.where(undefined, 1.0, norms), -1, 1))


def _spearman(rows: Array) -> Array:
    """Pearson's correlation of ranks; ties have their mean rank."""
    from scipy.stats import rankdata

    return _pearson(rankdata(rows, axis=1))


register(Metric("spearman", "Spearman correlation", _columns, _spearman, ("number",), low=-1.0))
register(Metric("pearson", "Pearson correlation", _columns, _pearson, ("number",), low=-1.0))
