"""Text to read: the loss of the next token, also by its position in the text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core.metrics import METRICS
from tasks.lib.encoding import (
    IGNORED,
    Row,
    empty_text_token,
    first_token,
    front,
)
from tasks.lib.texts import bits
from tasks.types.base import Answered, Batch, Size, Target, TaskType

if TYPE_CHECKING:
    import torch

    from tasks.base import Example, TaskMetadata

FIRST_BIN = 16
"""End of the first range of positions; every further range ends at twice its start."""


class TextLoss(NamedTuple):
    """Summed loss (nats) and number of predicted tokens of a text, and of each range of positions.

    The ranges are 0 to 16, 16 to 32, 32 to 64, and so on. The position of a token is the number of
    tokens before it, from all of which it is predicted.
    """

    total: float
    tokens: int
    ranges: tuple[tuple[float, int], ...]


class LanguageModelling(TaskType):
    """Examples have a text only."""

    name = "language_modelling"
    answers, metric = "tokens", "loss"
    has_labels = False
    uses_lm_head = True
    has_baseline = False  # a linear model on words does not predict the next one
    card_baselines = ("letters", "LZMA")

    def answer_text(self, metadata: TaskMetadata, example: Example) -> str:
        return ""

    def target(self, example: Example) -> Target:
        return None

    def encode(
        self, examples: Sequence[Example], tokenizer: Any, length: int, metadata: TaskMetadata
    ) -> list[Row]:
        """The front of each text behind the token that begins texts, without one that ends them.

        A loss needs two tokens: a shorter text follows an end of text, as in pre-training.
        """
        begin, filler = first_token(tokenizer), empty_text_token(tokenizer)
        rows = []
        for text in (example.text for example in examples):
            ids, end = front(tokenizer, text, length - len(begin))
            missing = 2 - len(begin) - len(ids)
            row = [*[filler] * missing, *begin, *ids]
            rows.append(Row(row, None, (text[:end], ""), end < len(text)))
        return rows

    def predict(self, batch: Batch, metadata: TaskMetadata) -> list[Target]:
        import torch
        from torch.nn import functional as F

        following = batch.labels[:, 1:]
        # Row by row: a float32 copy of all logits would be the largest tensor in memory.
        each = [
            F.cross_entropy(row[:-1].float(), ids, reduction="none", ignore_index=IGNORED)
            for row, ids in zip(batch.logits, following, strict=True)
        ]
        counted = (following != IGNORED).cpu()
        return text_losses(torch.stack(each), counted)

    def mean_loss(self, answers: Sequence[Target], mean: float) -> float:
        """The mean over tokens; batches have different numbers of them."""
        return METRICS["loss"].score(answers, answers)

    def score(
        self, answers: Sequence[Target], targets: Sequence[Target], metadata: TaskMetadata
    ) -> dict[str, Any]:
        """The loss with its interval, the perplexity, and the loss by position."""
        scores = super().score(answers, targets, metadata)
        by_position = []
        for k in range(max(len(answer.ranges) for answer in answers)):
            parts = [answer.ranges[k] for answer in answers if k < len(answer.ranges)]
            if count := sum(tokens for _, tokens in parts):
                start = FIRST_BIN * 2 ** (k - 1) if k else 0
                by_position.append(
                    {
                        "start": start,
                        "end": 2 * start or FIRST_BIN,
                        "loss": sum(total for total, _ in parts) / count,
                        "tokens": count,
                    }
                )
        perplexity = math.exp(scores["score"]) if scores["score"] < 700 else None
        return {**scores, "perplexity": perplexity, "by_position": by_position}

    def predictions(
        self, answers: Sequence[Target], targets: Sequence[Target], metadata: TaskMetadata
    ) -> dict[str, list[Any] | None]:
        kept = super().predictions(answers, targets, metadata)
        return {"labels": None, "predicted": None, "scores": kept["scores"]}

    def constant_score(self, targets: Sequence[Target], metadata: TaskMetadata) -> float | None:
        return None

    def card_scores(
        self, train: Answered, test: Answered, tokens: Size, metadata: TaskMetadata
    ) -> tuple[float, float]:
        """Nats per token of independent characters, and of the LZMA compression."""
        count = max(1, sum(map(tokens, test.texts)))
        alone, packed = (math.log(2) * total / count for total in bits(test.texts))
        return alone, packed

    def export_config(self, metadata: TaskMetadata) -> dict[str, Any]:
        """Rolling log-likelihood of the whole text."""
        aggregations = {
            "word_perplexity": "weighted_perplexity",
            "byte_perplexity": "weighted_perplexity",
            "bits_per_byte": "bits_per_byte",
        }
        return {
            "doc_to_text": "",
            "output_type": "loglikelihood_rolling",
            "doc_to_target": "text",
            "metric_list": [
                {"metric": metric, "aggregation": aggregation, "higher_is_better": False}
                for metric, aggregation in aggregations.items()
            ],
        }

    def export_row(
        self, metadata: TaskMetadata, example: Example, rows: Sequence[Row]
    ) -> dict[str, Any]:
        return {"text": rows[0].texts[0]}


def text_losses(losses: torch.Tensor, counted: torch.Tensor) -> list[TextLoss]:
    """Sum the losses of tokens behind the first, over texts and ranges of positions.

    Args:
        losses: of shape (texts, tokens - 1).
        counted: which of them count, of the same shape, on the CPU.
    """
    losses = losses.double().cpu() * counted
    ranges, start, end = [], 0, FIRST_BIN
    while start <= losses.shape[1]:
        part = slice(max(0, start - 1), end - 1)  # the first column is position 1
        sums = losses[:, part].sum(1).tolist()
        ranges.append(list(zip(sums, counted[:, part].sum(1).tolist(), strict=True)))
        start, end = end, 2 * end
    totals = zip(losses.sum(1).tolist(), counted.sum(1).tolist(), strict=True)
    return [
        TextLoss(total, tokens, tuple(one[row] for one in ranges))
        for row, (total, tokens) in enumerate(totals)
    ]
