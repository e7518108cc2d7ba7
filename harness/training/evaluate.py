"""Answers of a model to every example: labels, losses by position, or written texts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch.nn import functional as F

from harness.core.cell import Cell
from harness.training.batches import IGNORED, Encoded, Target, padded, prompts
from harness.training.heads import decide
from harness.training.meter import Rate, synchronize
from harness.training.methods import task_loss_only
from harness.training.positions import Positions
from tasks import TaskMetadata


class Diverged(Exception):
    """The loss or an output stopped being a finite number."""


@dataclass
class Evaluation:
    """Predictions in the order of the examples, mean loss, tokens per second.

    `positions` are the losses of text that was read (language modelling only).
    """

    predicted: list[Target] = field(default_factory=list)
    loss: float = 0.0
    rate: Rate = field(default_factory=Rate)
    positions: Positions | None = None


def evaluate(
    model: Any, cell: Cell, data: Encoded, pad_id: int, metadata: TaskMetadata
) -> Evaluation:
    """Answer every example, longest first, so that little is padded.

    Text is generated greedily, from prompts of the same batch padded on the left; its rate counts
    the tokens that were read and those that were written.

    Raises:
        Diverged: outputs that are not finite.
    """
    order = sorted(range(len(data)), key=lambda i: -data.width(i))
    reading = metadata.family == "language_modelling"
    result = Evaluation(
        predicted=[None] * len(order), positions=Positions(len(order)) if reading else None
    )
    total = 0.0
    model.eval()
    with torch.inference_mode(), task_loss_only(model):
        for chosen, inputs, tokens in padded(data, order, cell.batch_size, pad_id):
            start = perf_counter()
            inputs = moved(inputs, cell.device)
            with autocast(cell):
                output = model(**inputs)
            answers: list[Any] = [None] * len(chosen)
            if not data.writing:
                answers = list(decide(output.logits.float(), metadata.family))
            elif result.positions is not None:
                result.positions.add(chosen, *_losses(output.logits, inputs["labels"]))
            total += float(output.loss) * len(chosen)
            finite = math.isfinite(total) and (
                data.writing or bool(torch.isfinite(output.logits).all())
            )
            if finite and metadata.family == "generation":
                del output
                answers, tokens = _written(model, cell, data, chosen, pad_id, metadata)
            synchronize(cell.device)
            result.rate.add(tokens, perf_counter() - start)
            if not finite:
                raise Diverged("the model's outputs are not finite")
            for index, answer in zip(chosen, answers, strict=True):
                result.predicted[index] = answer
    result.loss = total / max(1, len(order))
    if result.positions is not None:
        result.loss = result.positions.mean()
    return result


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of each next token, shape (batch, tokens - 1), and which of them count."""
    following = labels[:, 1:]
    # Row by row: the float32 copy of a whole batch's logits would be the largest thing in memory.
    each = [
        F.cross_entropy(row[:-1].float(), next_ids, reduction="none", ignore_index=IGNORED)
        for row, next_ids in zip(logits, following, strict=True)
    ]
    return torch.stack(each), following != IGNORED


def _written(
    model: Any,
    cell: Cell,
    data: Encoded,
    chosen: list[int],
    pad_id: int,
    metadata: TaskMetadata,
) -> tuple[list[str], int]:
    inputs = moved(prompts(data, chosen, pad_id), cell.device)
    with autocast(cell):
        ids = model.generate(
            **inputs,
            max_new_tokens=metadata.answer_tokens,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            pad_token_id=pad_id,
            eos_token_id=data.end,
        )
    new = ids[:, inputs["input_ids"].shape[1] :]
    tokens = int(inputs["attention_mask"].sum()) + new.numel()
    return [data.decode(row).strip() for row in new.tolist()], tokens


def autocast(cell: Cell) -> torch.autocast:
    """Mixed precision where the cell asks for it."""
    return torch.autocast(cell.device, torch.bfloat16, enabled=cell.dtype == "bfloat16")


def moved(inputs: dict[str, torch.Tensor], device: str) -> dict[str, torch.Tensor]:
    """Inputs on the cell's device."""
    return inputs if device == "cpu" else {k: v.to(device) for k, v in inputs.items()}
