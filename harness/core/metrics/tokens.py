"""Metrics of language modelling, over the scored tokens of all texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.metrics.base import Metric, register

if TYPE_CHECKING:
    from harness.core.metrics.base import Array, Values


def _loss_rows(predicted: Values, targets: Values) -> Array:
    """`predicted` holds (summed loss, tokens, …) by text; there are no targets."""
    import numpy as np

    return np.array([(total, count) for total, count, *_ in predicted], dtype=float)


def _token_rows(predicted: Values, targets: Values) -> Array:
    """`predicted` holds (summed loss, tokens, correct tokens, …) by text."""
    import numpy as np

    return np.array([(hits, count) for _, count, hits, *_ in predicted], dtype=float)


def _by_token(rows: Array) -> Array:
    """Sums over texts divided by tokens over texts."""
    import numpy as np

    sums = rows.sum(1)
    means: Array = sums[:, 0] / np.maximum(1, sums[:, 1])
    return means


register(
    Metric(
        "loss",
        "loss",
        _loss_rows,
        _by_token,
        ("tokens",),
        unit="nats per token",
        high=None,
        higher_is_better=False,
        by_text=True,
    )
)
register(
    Metric(
        "token_accuracy",
        "next-token accuracy",
        _token_rows,
        _by_token,
        ("tokens",),
        by_text=True,
    )
)
