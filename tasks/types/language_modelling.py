"""Text to read: the loss of the next token, also by its position in the text.

The score is the mean loss over the scored tokens: all tokens of a row from `Row.start` on. Rows of
a `Window` score the same tokens at every length, with more or fewer tokens before them.
"""

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
from tasks.types.base import Answered, Batch, Padded, Size, Target, TaskType, Window

if TYPE_CHECKING:
    import torch

    from tasks.base import Example, TaskMetadata

FIRST_BIN = 16
"""End of the first range of positions; every further range ends at twice its start."""


class TextLoss(NamedTuple):
    """The loss of a text.

    Attributes:
        total: summed loss (nats) of the scored tokens.
        tokens: number of scored tokens.
        correct: scored tokens that had the highest probability.
        ranges: summed loss and number of all predicted tokens at the positions 0 to 16, 16 to 32,
            32 to 64, and so on. The position of a token is the number of tokens before it, from
            all of which it is predicted.
    """

    total: float
    tokens: int
    correct: int
    ranges: tuple[tuple[float, int], ...]


class LanguageModelling(TaskType):
    """Examples have a text only."""

    name = "language_modelling"
    answers, metric = "tokens", "loss"
    secondary = ("token_accuracy",)
    has_labels = False
    uses_lm_head = True
    has_windows = True
    has_baseline = False  # a linear model on words does not predict the next one
    card_baselines = ("letters", "LZMA")

    def answer_text(self, metadata: TaskMetadata, example: Example) -> str:
        return ""

    def target(self, example: Example) -> Target:
        return None

    def encode(
        self, examples: Sequence[Example], tokenizer: Any, length: int, metadata: TaskMetadata
    ) -> list[Row]:
        """The front of each text after the token that begins texts, without one that ends them.

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

    def windowed(self, row: Row, tokenizer: Any, length: int, window: Window) -> Row:
        """Return the last `length` tokens of a row that ends where the window ends.

        The token that begins texts is kept at the front. The first `window.end - length` tokens of
        the text are left out.
        """
        begin = len(first_token(tokenizer))
        left_out = max(0, len(row.ids) - length)
        ids = [*row.ids[:begin], *row.ids[begin + left_out :]]
        return row._replace(ids=ids, start=max(1, len(ids) - window.targets))

    def batch_labels(self, batch: Padded, metadata: TaskMetadata) -> torch.Tensor:
        """All tokens: those before the scored ones count in `by_position`."""
        return batch.ids.masked_fill(batch.mask == 0, IGNORED)

    def predict(self, batch: Batch, metadata: TaskMetadata) -> list[Target]:
        losses, correct = batch.next_tokens()
        counted = (batch.labels[:, 1:] != IGNORED).cpu()
        return text_losses(losses, correct, counted, batch.starts)

    def mean_loss(self, answers: Sequence[Target], mean: float) -> float:
        """The mean over tokens; batches have different numbers of them."""
        return METRICS["loss"].score(answers, answers)

    def score(
        self, answers: Sequence[Target], targets: Sequence[Target], metadata: TaskMetadata
    ) -> dict[str, Any]:
        """The loss with its interval, the perplexity, and the loss of all tokens by position."""
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
        known = {**scores, "perplexity": perplexity, "by_position": by_position}
        tokens = sum(part["tokens"] for part in by_position)
        if tokens > sum(answer.tokens for answer in answers):
            total = sum(part["loss"] * part["tokens"] for part in by_position)
            known["all_tokens_loss"] = total / tokens
        return known

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


def text_losses(
    losses: torch.Tensor, correct: torch.Tensor, counted: torch.Tensor, starts: Sequence[int]
) -> list[TextLoss]:
    """Sum the losses of the tokens after the first, over texts and ranges of positions.

    Args:
        losses: of shape (texts, tokens - 1).
        correct: of the same shape, whether the token had the highest probability.
        counted: of the same shape, which tokens are not padding, on the CPU.
        starts: by text, the position of the first scored token.
    """
    import torch

    losses = losses.double().cpu() * counted
    places = torch.arange(1, losses.shape[1] + 1)
    scored = counted & (places >= torch.tensor(starts)[:, None])
    ranges, start, end = [], 0, FIRST_BIN
    while start <= losses.shape[1]:
        part = slice(max(0, start - 1), end - 1)  # the first column is position 1
        sums = losses[:, part].sum(1).tolist()
        ranges.append(list(zip(sums, counted[:, part].sum(1).tolist(), strict=True)))
        start, end = end, 2 * end
    totals = (losses * scored).sum(1).tolist()
    tokens = scored.sum(1).tolist()
    hits = (correct.cpu() & scored).sum(1).tolist()
    return [
        TextLoss(totals[row], tokens[row], hits[row], tuple(one[row] for one in ranges))
        for row in range(len(losses))
    ]
