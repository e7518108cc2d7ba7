"""The metrics of the benchmark: how each is computed, its range, its interval and its labels.

A metric is one `register(Metric(...))` in a file of this package. Every task type whose answers are
of a kind that it scores then offers it.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Sequence

from harness.core.metrics.base import METRICS, Metric, common_metric, register
from harness.core.metrics.intervals import bootstrap, jackknife

__all__ = [
    "METRICS", "Metric", "bootstrap", "common_metric", "jackknife", "rank_of_rate", "register",
]  # fmt: skip

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")


def rank_of_rate(losses: Sequence[float | None]) -> float:
    """Return a sort key of a learning rate: the best rate has the highest key.

    The mean validation loss of its cells decides. A rate with a cell that has no finite loss,
    because it failed or diverged, is the worst.
    """
    known = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    return -sum(known) / len(known) if known and len(known) == len(losses) else -math.inf
