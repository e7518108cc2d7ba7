"""One training step before the sweep, to see whether a method trains its parameters."""

from __future__ import annotations

from typing import Any

import torch

from harness.core.cell import Cell
from harness.training.batches import random_batch
from harness.training.evaluate import autocast
from harness.training.methods import adapt


def rehearse(model: Any, cell: Cell) -> None:
    """Adapt `model` and take one training step on two texts of eight random tokens.

    Raises:
        ValueError: only the classifier gets a gradient, or the loss is no number.
        Exception: an error of the method.
    """
    adapted: Any = adapt(model, cell).model
    inputs = random_batch(int(adapted.config.vocab_size), 2, 8, 0, cell.uses_lm_head)
    with autocast(cell):
        loss = adapted.train()(**inputs).loss
    if not torch.isfinite(loss):
        raise ValueError(f"the loss of the first step is {loss.item()}")
    loss.backward()
    adapter = [
        parameter
        for name, parameter in adapted.named_parameters()
        if parameter.requires_grad and "classifier" not in name
    ]
    if not any(p.grad is not None and bool(p.grad.any()) for p in adapter):
        given = (
            ", ".join(f"{key}: {value}" for key, value in cell.options.items()) or "its defaults"
        )
        raise ValueError(
            f"no parameter of {cell.method} gets a gradient on this backbone with {given}: change "
            f"these settings"
        )
