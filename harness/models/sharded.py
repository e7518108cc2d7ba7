"""A model that is divided over several devices: FSDP of PyTorch, one process for each device.

Each process holds a part of every weight, gradient and optimizer state, and trains on its own rows
of each batch. A block is gathered while it runs. Evaluation runs on all rows in every process.
accelerate configures the same functions, but only on GPUs, so PyTorch's are called directly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from harness.core.cell import Cell
from harness.models.blocks import all_blocks

Inputs = dict[str, torch.Tensor]


def shard(model: Any, cell: Cell) -> None:
    """Divide a model over the devices of its cell and move its part to this process's device."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(cell.device, (cell.levers.devices,))
    for block in all_blocks(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def is_first(cell: Cell) -> bool:
    """Whether this process is the one whose result counts."""
    return cell.levers.devices == 1 or dist.get_rank() == 0


def own_rows(
    inputs: Inputs, cell: Cell, terms: Callable[[torch.Tensor, bool], int]
) -> tuple[Inputs, float]:
    """Return this process's rows of a batch, and the factor of their loss.

    Gradients are averaged over processes. With the factor, the average is the gradient of the mean
    loss of the whole batch.

    Args:
        inputs: of the whole batch.
        cell: its settings.
        terms: returns the number of losses in the mean loss of labels.

    Raises:
        ValueError: the batch is too small.
    """
    world = cell.levers.devices
    if world == 1:
        return inputs, 1.0
    labels = inputs["labels"]
    counts = [terms(labels[rank::world], cell.uses_lm_head) for rank in range(world)]
    if not all(counts):
        raise ValueError(f"a batch with {len(labels)} texts has none for one of {world} devices")
    rank, each = dist.get_rank(), len(inputs["input_ids"]) // len(labels)
    texts = torch.arange(len(labels))[rank::world]
    rows = (texts[:, None] * each + torch.arange(each)).flatten()
    own = {
        name: value[texts if len(value) == len(labels) else rows] for name, value in inputs.items()
    }
    return own, counts[rank] * world / sum(counts)


def mean_loss(loss: float, cell: Cell) -> float:
    """Return the loss of the whole batch from the weighted losses of all processes."""
    if cell.levers.devices == 1:
        return loss
    total = torch.tensor(loss, dtype=torch.float64, device=cell.device)
    dist.all_reduce(total)
    return float(total) / cell.levers.devices
