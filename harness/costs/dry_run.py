"""One training step and one forward pass of a cell on fake tensors.

The model, the adapter, the loss and the optimizer are those of a run, and live bytes are counted by
the same code (`training/memory.py`). No weights are read and no numbers are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from harness.core.cell import Cell
from harness.costs.fake import AssumedAnswers, fake_tensors, few_chunks, replace_tensors
from harness.models.backbones import Backbone
from harness.models.blocks import all_blocks
from harness.models.load import load_skeleton
from harness.models.quiet import quiet
from harness.training.levers import use_levers
from harness.training.memory import create_state, live_bytes
from harness.training.methods import adapt, chunk_loss, is_head
from harness.training.timing import Probe
from harness.training.work import Work, WorkCounter

_INITIAL_VALUES = ("init_lora_weights",)
"""Options that decide the first values of an adapter, some from the weights. Costs are the same."""


@dataclass(frozen=True)
class Memory:
    """Peak of live bytes of a step, and its parts at the peak."""

    peak_bytes: int
    parts: dict[str, int]


@dataclass(frozen=True)
class Step(Memory):
    """The memory of a step, and its work."""

    work: Work


@dataclass(frozen=True)
class DryRun:
    """A training step and a forward pass, and the parameters of the model.

    `head_params` are those of the classifier, which `trainable_params` includes.
    """

    train: Step
    eval: Step
    trainable_params: int
    head_params: int
    total_params: int


def dry_run(cell: Cell, backbone: Backbone) -> DryRun:
    """Run the steps of a probe of a cell (full-length batches) on fake tensors.

    Fake tensors take the kernels of a CPU. A fused attention kernel of another device saves the
    same tensors: its output and the log-sum-exp of each row.

    Raises:
        ValueError: the arm cannot be built on this backbone.
    """
    share = _share(cell)
    with _probe(share, backbone) as (model, probe):
        train = divided(_step(probe.train, model, probe.optimizer), model, cell)
        if share.batch_size == cell.batch_size:
            probe.optimizer.state.clear()
            model.eval()
            evaluation = _step(probe.forward, model, probe.optimizer)
        sizes = {n: p.numel() for n, p in model.named_parameters()}
        trained = {n for n, p in model.named_parameters() if p.requires_grad}
    if share.batch_size != cell.batch_size:  # evaluation runs on all rows on each device
        with _probe(cell, backbone) as (model, probe):
            model.eval()
            probe.optimizer.state.clear()
            evaluation = divided(_step(probe.forward, model, probe.optimizer), model, cell)
    return DryRun(
        train,
        evaluation,
        trainable_params=sum(sizes[n] for n in trained),
        head_params=sum(sizes[n] for n in trained if is_head(n) and not cell.uses_lm_head),
        total_params=sum(sizes.values()),
    )


def train_memory(cell: Cell, backbone: Backbone, blocks: int | None = None) -> Memory:
    """Return the peak of the training step of `dry_run`, without its work.

    Args:
        cell: what is run.
        backbone: its configuration is read.
        blocks: the number of blocks of the model; None: that of the configuration.

    Raises:
        ValueError: the arm cannot be built on this backbone.
    """
    with _probe(_share(cell), backbone, blocks) as (model, probe), few_chunks():
        live = live_bytes(model, probe.optimizer, "cpu")
        with live.watching(model):
            probe.train()
        return divided(Memory(live.peak, live.parts), model, cell)


def _share(cell: Cell) -> Cell:
    """Return the cell with the rows of one of its devices."""
    return cell.model_copy(update={"batch_size": -(-cell.batch_size // cell.levers.devices)})


AnyMemory = TypeVar("AnyMemory", bound=Memory)


def divided(memory: AnyMemory, model: torch.nn.Module, cell: Cell) -> AnyMemory:
    """Return the memory of one of several devices, from that of a whole model on its rows.

    Weights, gradients and optimizer states are divided. At the peak, the largest block and what is
    outside of the blocks are gathered. This is an estimate: nothing is run on several devices.
    """
    devices = cell.levers.devices
    if devices == 1:
        return memory
    sizes = {id(p): p.numel() * p.element_size() for p in model.parameters()}
    blocks = [sum(sizes[id(p)] for p in block.parameters()) for block in all_blocks(model)]
    gathered = sum(sizes.values()) - sum(blocks) + max(blocks, default=0)
    parts = dict(memory.parts)
    for name in ("weights", "gradients", "optimizer"):
        parts[name] = -(-parts.get(name, 0) // devices)
    parts["weights"] += gathered * (devices - 1) // devices
    peak = memory.peak_bytes + sum(parts.values()) - sum(memory.parts.values())
    return replace(memory, peak_bytes=peak, parts=parts)


@contextmanager
def _probe(
    cell: Cell, backbone: Backbone, blocks: int | None = None
) -> Iterator[tuple[Any, Probe]]:
    """Yield a model in training mode and its probe; within the block tensors are fake."""
    options = {k: v for k, v in cell.options.items() if k not in _INITIAL_VALUES}
    update = {"device": "cpu", "kind": "probe", "lr": cell.lr or 1e-4, "options": options}
    update["levers"] = cell.levers.model_copy(update={"devices": 1})
    cell = cell.model_copy(update=update)
    with quiet(), AssumedAnswers():  # PEFT cannot move modules between fake devices
        model = load_skeleton(
            backbone,
            cell.positions,
            cell.uses_lm_head,
            blocks,
            cell.levers.attention,
            weights=cell.levers.weights,
        )
        chunk_loss(model, cell)
        model = adapt(model, cell).model
        use_levers(model, cell)
    with quiet(), fake_tensors():
        replace_tensors(model, "cpu")
        probe = Probe(model, cell)
        create_state(probe.optimizer)
        model.train()
        yield model, probe


def _step(run: Callable[[], Any], model: Any, optimizer: torch.optim.Optimizer) -> Step:
    live = live_bytes(model, optimizer, "cpu")
    counter = WorkCounter()
    with counter, live.watching(model):  # in this order the parts of operators are not live bytes
        run()
    return Step(live.peak, live.parts, counter.work)
