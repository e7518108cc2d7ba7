"""Memory levers on a model and in a training step.

The attention kernel and 8-bit or 4-bit weights are chosen where a model is loaded
(`harness/models/load.py`), packing where batches are made (`batches.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from harness.core.cell import Cell
from harness.models.blocks import lowest_trained_block
from harness.training.peft_methods import refused_lever
from tasks.lib.encoding import IGNORED

Inputs = dict[str, torch.Tensor]


def use_levers(model: Any, cell: Cell) -> None:
    """Apply the levers of a cell to its adapted model.

    Raises:
        ValueError: the model has no blocks that can be run again, or its method does not allow it.
    """
    if reason := refused_lever(cell):
        raise ValueError(reason)
    if cell.levers.weights != "float32":  # of 8 and 4 bits are the linear layers only
        for parameter in model.parameters():
            if not parameter.requires_grad and parameter.is_floating_point():
                parameter.data = parameter.data.to(torch.bfloat16)
    if cell.levers.checkpointing != "off":
        every = 1 if cell.levers.checkpointing == "full" else cell.levers.checkpointing
        _checkpoint(model.get_base_model() if hasattr(model, "peft_config") else model, every)


def _checkpoint(model: Any, every: int) -> None:
    """Checkpoint the first block of `model` and every n-th after it, in training mode."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    encoder = getattr(model, "encoder", model)
    blocks = [m for m in encoder.modules() if isinstance(m, GradientCheckpointingLayer)]
    if not (blocks and encoder.supports_gradient_checkpointing):
        raise ValueError(f"{type(encoder).__name__} has no blocks that can be checkpointed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # renamed in transformers 5.24
        encoder.gradient_checkpointing_enable({"use_reentrant": False})
    # transformers makes the embeddings' output require a gradient, which only reentrant
    # checkpointing needs. The backward pass would run through blocks below the lowest adapter.
    encoder.disable_input_require_grads()
    for index, block in enumerate(blocks):
        block.gradient_checkpointing = index % every == 0


def saving(cell: Cell) -> AbstractContextManager[Any]:
    """Return a context for forward passes, in which saved activations go to main memory."""
    if not cell.levers.offload:
        return nullcontext()
    return torch.autograd.graph.save_on_cpu(pin_memory=True)


def micro_batches(inputs: Inputs, cell: Cell) -> Iterator[tuple[Inputs, float]]:
    """Yield the micro-batches of a batch, each with its share of the batch's mean loss.

    The loss of a language model is a mean over tokens with a label, any other a mean over texts.
    So the gradients of the weighted losses add up to those of the whole batch.
    """
    labels = inputs["labels"]
    size = cell.levers.micro_batch
    if size is None or size >= len(labels):
        yield inputs, 1.0
        return
    # An example of multiple choice has several rows.
    parts = [torch.split(value, size * (len(value) // len(labels))) for value in inputs.values()]
    counts = [terms(part, cell.uses_lm_head) for part in torch.split(labels, size)]
    for values, count in zip(zip(*parts, strict=True), counts, strict=True):
        if count:  # a mean over no token is no number
            yield dict(zip(inputs, values, strict=True)), count / sum(counts)


def terms(labels: torch.Tensor, uses_lm_head: bool) -> int:
    """The number of losses that are averaged."""
    return int((labels[:, 1:] != IGNORED).sum()) if uses_lm_head else len(labels)


def packed(inputs: Inputs) -> Inputs:
    """Return a padded batch of a language model with several texts in a row, where they fit.

    Rows are as wide as the longest text. Each text has position ids from 0, by which transformers
    keeps the attention within a text. The first token of a text has no loss, as without packing.
    """
    ids, labels, mask = inputs["input_ids"], inputs["labels"], inputs["attention_mask"]
    width = ids.shape[1]
    sizes = mask.sum(1).tolist()
    rows: list[list[int]] = []
    for text in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        room = (row for row in rows if sum(sizes[i] for i in row) + sizes[text] <= width)
        if (row := next(room, None)) is None:
            rows.append(row := [])
        row.append(text)
    new = {
        "input_ids": ids.new_full((len(rows), width), 0),
        "labels": labels.new_full((len(rows), width), IGNORED),
        "position_ids": torch.zeros((len(rows), width), dtype=torch.long),
    }
    for place, row in enumerate(rows):
        start = 0
        for text in row:
            size = sizes[text]
            part = slice(start, start + size)
            new["input_ids"][place, part] = ids[text, :size]
            new["labels"][place, start + 1 : start + size] = labels[text, 1:size]
            new["position_ids"][place, part] = torch.arange(size)
            start += size
        # Padding goes on from the last text, which does not look at it.
        new["position_ids"][place, start:] = torch.arange(size, size + width - start)
    return new


def describe_parameters(model: torch.nn.Module) -> dict[str, Any]:
    """Return fields of `ModelInfo`: parameters, and the lowest block that is trained."""
    counts = [(p.requires_grad, _elements(p)) for p in model.parameters()]
    return {
        "lowest_layer": lowest_trained_block(model),
        "trainable_params": sum(n for trained, n in counts if trained),
        "total_params": sum(n for _, n in counts),
    }


def _elements(parameter: torch.Tensor) -> int:
    """The weights in a parameter, also where bitsandbytes stores two of them in a byte."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else int(state.shape.numel())
