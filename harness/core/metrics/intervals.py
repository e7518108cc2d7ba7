"""Intervals of scores over test examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_DRAWS = 2_000
"""Bootstrap samples of an interval."""

_BLOCK = 50
"""Bootstrap samples that are in memory at the same time."""


def bootstrap(rows: Array, statistic: Callable[[Array], Array]) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic over resampled examples.

    Args:
        rows: of shape (examples, k).
        statistic: rows of shape (samples, examples, k) to scores of shape (samples,).
    """
    import numpy as np

    random = np.random.default_rng(0)
    count = len(rows)
    found = [
        statistic(rows[random.integers(0, count, (_BLOCK, count))]) for _ in range(_DRAWS // _BLOCK)
    ]
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return float(low), float(high)


def jackknife(rows: Array, statistic: Callable[[Array], Array]) -> Array:
    """Return the pseudo-values of a statistic: what each of at least two examples adds to it."""
    import numpy as np

    count = len(rows)
    others = np.array([np.delete(np.arange(count), k) for k in range(count)])
    without = [statistic(rows[others[k : k + _BLOCK]]) for k in range(0, count, _BLOCK)]
    values: Array = count * statistic(rows[None])[0] - (count - 1) * np.concatenate(without)
    return values


def wilson(correct: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    from scipy.stats import binomtest

    interval = binomtest(correct, count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
