"""Intervals from resampled test texts, for scores that are no share of right answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_DRAWS = 2_000
_BLOCK = 50
"""Draws made at once: all of them would be texts times 2,000 numbers."""

Array = np.ndarray[Any, Any]


def resampled(rows: Array, score: Callable[[Array], Array]) -> tuple[float, float]:
    """The 95 % interval of a score of sums (a percentile bootstrap; Efron, 1979).

    Args:
        rows: what is summed, of shape (texts, numbers).
        score: sums of shape (draws, numbers) to scores of shape (draws,).
    """
    random = np.random.default_rng(0)
    count = len(rows)
    found = [
        score(rows[random.integers(0, count, (_BLOCK, count))].sum(1))
        for _ in range(_DRAWS // _BLOCK)
    ]
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return float(low), float(high)
