"""Answers of a model to every example, in whatever form the task type has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import torch

from harness.core.cell import Cell
from harness.core.metrics import METRICS
from harness.models.chunked_loss import TokenLosses, token_losses
from harness.training.batches import Encoded, padded, prompts
from harness.training.meter import Rate, synchronize
from harness.training.methods import task_loss_only
from tasks.lib.encoding import end_of_text
from tasks.types.base import Target


class Diverged(Exception):
    """The loss or an output stopped being a finite number."""


@dataclass
class Evaluation:
    """Answers in the order of the examples, mean loss, tokens per second."""

    answers: list[Target] = field(default_factory=list)
    loss: float = 0.0
    rate: Rate = field(default_factory=Rate)


@dataclass
class _Batch:
    """Outputs for a batch (`tasks.types.base.Batch`); `tokens` counts what was read and written."""

    output: Any
    labels: torch.Tensor
    starts: Sequence[int]
    tokens: int
    write: Callable[[int], tuple[list[str], int]]

    @property
    def logits(self) -> torch.Tensor:
        logits: torch.Tensor = self.output.logits
        return logits

    def next_tokens(self) -> tuple[torch.Tensor, torch.Tensor]:
        if isinstance(self.output, TokenLosses):
            assert self.output.losses is not None
            assert self.output.correct is not None
            return self.output.losses, self.output.correct
        return token_losses(self.logits, self.labels)

    def generate(self, most: int) -> list[str]:
        del self.output  # it may hold all logits, which generation does not need
        texts, self.tokens = self.write(most)
        return texts


def evaluate(model: Any, cell: Cell, data: Encoded, pad_id: int) -> Evaluation:
    """Answer every example, longest first, so that little is padded.

    Text is generated greedily, from prompts of the same batch padded on the left; its rate counts
    the tokens that were read and those that were written.

    Raises:
        Diverged: outputs that are not finite.
    """
    order = sorted(range(len(data)), key=lambda i: -data.width(i))
    kind = data.metadata.task_type
    result = Evaluation([None] * len(order))
    total = 0.0
    model.eval()
    with torch.inference_mode(), task_loss_only(model):
        for chosen, inputs, tokens in padded(data, order, cell.batch_size, pad_id):
            start = perf_counter()
            inputs = moved(inputs, cell.device)
            with autocast(cell):
                output = model(**inputs)
            total += float(output.loss) * len(chosen)
            heads_finite = kind.uses_lm_head or bool(torch.isfinite(output.logits).all())
            if not (math.isfinite(total) and heads_finite):
                raise Diverged("the model's outputs are not finite")
            write = partial(_written, model, cell, data, chosen, pad_id)
            starts = [data.starts[i] for i in chosen]  # one row per example where tokens count
            batch = _Batch(output, inputs["labels"], starts, tokens, write)
            del output
            answers = kind.predict(batch, data.metadata)
            synchronize(cell.device)
            result.rate.add(batch.tokens, perf_counter() - start)
            for index, answer in zip(chosen, answers, strict=True):
                result.answers[index] = answer
    result.loss = kind.mean_loss(result.answers, total / max(1, len(order)))
    return result


def validation_scores(answers: list[Target], data: Encoded) -> dict[str, float]:
    """Return the fields of a validation: the score in the task's metric."""
    metric = data.metadata.metric
    value = METRICS[metric].score(answers, data.targets)
    accuracy = {"validation_accuracy": value} if metric == "accuracy" else {}
    return {"validation_score": value, **accuracy}


def _written(
    model: Any, cell: Cell, data: Encoded, chosen: list[int], pad_id: int, most: int
) -> tuple[list[str], int]:
    """Up to `most` tokens for each prompt as text, and the tokens read and written."""
    inputs = moved(prompts(data, chosen, pad_id), cell.device)
    with autocast(cell):
        ids = model.generate(
            **inputs,
            max_new_tokens=most,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            pad_token_id=pad_id,
            eos_token_id=end_of_text(data.tokenizer),
        )
    new = ids[:, inputs["input_ids"].shape[1] :]
    tokens = int(inputs["attention_mask"].sum()) + new.numel()
    texts = (data.tokenizer.decode(row, skip_special_tokens=True) for row in new.tolist())
    return [str(text).strip() for text in texts], tokens


def autocast(cell: Cell) -> torch.autocast:
    """Mixed precision where the cell asks for it."""
    return torch.autocast(cell.device, torch.bfloat16, enabled=cell.compute_dtype == "bfloat16")


def moved(inputs: dict[str, torch.Tensor], device: str) -> dict[str, torch.Tensor]:
    """Inputs on the cell's device."""
    return inputs if device == "cpu" else {k: v.to(device) for k, v in inputs.items()}
