"""Loss of the next token by its position in the text: where does more context help?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from harness.core.metrics import METRICS

FIRST = 16
"""End of the first bin; every further bin ends at twice the position."""


class Positions:
    """Sums of losses over texts and over bins of positions: 0-16, 16-32, 32-64 and so on.

    A token's position counts the tokens before it: it is predicted from all of them.
    """

    def __init__(self, texts: int) -> None:
        self._texts = np.zeros((texts, 2))
        self._bins: dict[int, tuple[float, int]] = {}

    def add(self, texts: list[int], losses: torch.Tensor, counted: torch.Tensor) -> None:
        """Add the losses of the tokens behind the first; both of shape (texts, tokens - 1)."""
        losses, counted = losses.double().cpu(), counted.cpu()
        losses = losses * counted
        self._texts[texts, 0] += losses.sum(1).numpy()
        self._texts[texts, 1] += counted.sum(1).numpy()
        start, end, width = 0, FIRST, losses.shape[1]
        while start <= width:
            # The first column is the token at position 1.
            part = slice(max(0, start - 1), end - 1)
            total, count = self._bins.get(start, (0.0, 0))
            self._bins[start] = (
                total + float(losses[:, part].sum()),
                count + int(counted[:, part].sum()),
            )
            start, end = end, 2 * end

    def mean(self) -> float:
        """Mean loss of a token, in nats."""
        return METRICS["loss"].score(self._texts, self._texts)

    def each(self) -> list[float]:
        """Mean loss of a token of each text."""
        return METRICS["loss"].example_scores(self._texts, self._texts)

    def scores(self) -> dict[str, Any]:
        """What is kept of a test: the mean loss, its interval from resampled texts, the bins."""
        score, low, high = METRICS["loss"].score_with_interval(self._texts, self._texts)
        by_position = [
            {
                "start": start,
                "end": FIRST if start == 0 else 2 * start,
                "loss": total / count,
                "tokens": count,
            }
            for start, (total, count) in sorted(self._bins.items())
            if count
        ]
        return {
            "metric": "loss",
            "score": score,
            "score_low": low,
            "score_high": high,
            "perplexity": float(np.exp(score)),
            "test_examples": len(self._texts),
            "by_position": by_position,
        }
