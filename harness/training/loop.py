"""The training loop, in plain PyTorch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch

from harness.core.cell import Cell
from harness.core.result import CurvePoint, Scores
from harness.models.sharded import is_first, mean_loss, own_rows
from harness.training.batches import Encoded, padded, random_batch
from harness.training.checkpoint import Checkpoints, Training
from harness.training.evaluate import Diverged, autocast, evaluate, moved, validation_scores
from harness.training.levers import micro_batches, saving, terms
from harness.training.meter import MemoryMeter, Stopwatch
from harness.training.methods import after_step, is_head

_VALIDATED = {"validation_loss", "validation_score", "validation_accuracy"}


class Outcome(NamedTuple):
    """The result of training.

    Attributes:
        curve: one point per validation.
        scores: validation loss and score at the end of training.
        cost: fields of `Cost`.
    """

    curve: list[CurvePoint]
    scores: Scores
    cost: dict[str, Any]


def train(
    model: Any,
    cell: Cell,
    data: Encoded,
    validation: Encoded,
    pad_id: int,
    watch: Stopwatch,
    meter: MemoryMeter,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Train a model with the settings of a cell.

    AdamW, with one learning rate for the classifier and one for the rest; linear warm-up, then
    linear decay to zero; gradients clipped to a global norm.
    Validations are evenly spaced. Their time counts as evaluation, and their memory is not in the
    training peak.

    Args:
        model: a model whose output has a `loss`; updated in place.
        cell: the settings.
        data: training examples.
        validation: validation examples.
        pad_id: token id for padding.
        watch: adds the seconds of training and evaluation.
        meter: measures the training peak.
        checkpoints: training continues from there, and is saved there; None: neither.

    Raises:
        Diverged: a training loss is not finite.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    assert cell.epochs is not None
    optimizer = optimizer_of(model, cell)
    per_epoch = math.ceil(len(data) / cell.batch_size)
    total = per_epoch * cell.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _triangle(total, cell.warmup))
    stops = {
        math.ceil(total * k / (cell.validations or 1))
        for k in range(1, (cell.validations or 1) + 1)
    }
    shuffle = torch.Generator().manual_seed(cell.seed)
    after = after_step(model)
    training = Training(cell, model, optimizer, schedule, watch)
    if after is not None:  # these methods keep a state of their own, which no checkpoint has
        checkpoints = None
    if checkpoints is not None:
        checkpoints.restore(training)
    now = training.progress
    meter.reset()
    model.train()
    for epoch in range(cell.epochs):
        order = torch.randperm(len(data), generator=shuffle).tolist()
        left = order[max(0, now.step - epoch * per_epoch) * cell.batch_size :]
        for _, inputs, tokens in padded(data, left, cell.batch_size, pad_id, cell.levers.packing):
            with watch.phase("train"):
                start = time.perf_counter()
                now.step += 1
                loss = train_step(
                    model, inputs, optimizer, trainable, cell, after and partial(after, now.step)
                )
                schedule.step()
                now.rate.add(tokens, time.perf_counter() - start)
            if not math.isfinite(loss):
                raise Diverged(f"the training loss became {loss} at step {now.step} of {total}")
            now.losses.append(loss)
            if now.step in stops:
                now.peak = max(now.peak, meter.peak() or 0)
                with watch.phase("eval"):
                    seen = evaluate(model, cell, validation, pad_id)
                now.curve.append(
                    CurvePoint(
                        step=now.step,
                        examples=now.step * cell.batch_size,
                        train_loss=sum(now.losses) / len(now.losses),
                        validation_loss=seen.loss,
                        **validation_scores(seen.answers, validation),
                    )
                )
                if is_first(cell):
                    _report(now.curve[-1], total)
                now.losses = []
                model.train()
                meter.reset()
            # A cell that was long enough for a checkpoint also keeps the end of its training.
            if checkpoints and (checkpoints.due or (now.step == total and checkpoints.exists)):
                now.peak = max(now.peak, meter.peak() or 0)
                checkpoints.write(training)
                meter.reset()
    last = now.curve[-1].model_dump(include=_VALIDATED, exclude_unset=True)
    return Outcome(
        now.curve,
        Scores(metric=data.metadata.metric, **last),
        {
            **now.rate.row("train_tokens_per_s", steady=False),
            "train_peak_bytes": now.peak or None,
        },
    )


def _report(point: CurvePoint, total: int) -> None:
    """Write a validation to the log of the cell, so that users can follow a long cell."""
    values = point.model_dump(exclude={"step"}, exclude_none=True)
    text = ", ".join(f"{name} {value:.5g}" for name, value in values.items())
    print(f"step {point.step} of {total}: {text}", file=sys.stderr, flush=True)


def attention_kernel(model: Any, cell: Cell, vocabulary: int) -> str:
    """Return the attention kernel that a forward pass calls, found by recording its operators."""
    from torch.utils._python_dispatch import TorchDispatchMode

    names: set[str] = set()

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if "attention" in str(func):
                names.add(str(func).removeprefix("aten.").split(".")[0])
            return func(*args, **(kwargs or {}))

    inputs = moved(random_batch(vocabulary, 1, 16, 0, cell.uses_lm_head), cell.device)
    del inputs["labels"]
    model.train()
    with autocast(cell), Watch():  # type: ignore[no-untyped-call]
        (model if cell.uses_lm_head else model.encoder)(**inputs)
    kernel = ", ".join(sorted(name.strip("_") for name in names))
    if kernel or getattr(model.config, "_attn_implementation", None) != "eager":
        return kernel or "not fused"
    return "eager" if getattr(model.config, "num_attention_heads", None) else "none"


def train_step(
    model: Any,
    inputs: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    trainable: list[torch.nn.Parameter],
    cell: Cell,
    after: Callable[[], None] | None = None,
) -> float:
    """Do one optimizer step and return its loss; `after` is called before gradients are reset."""
    losses: list[torch.Tensor] = []
    own, factor = own_rows(inputs, cell, terms)
    for part, share in micro_batches(own, cell):
        with autocast(cell), saving(cell):
            loss = model(**moved(part, cell.device)).loss
        if share * factor != 1:
            loss = loss * (share * factor)
        loss.backward()
        losses.append(loss.detach())
    torch.nn.utils.clip_grad_norm_(trainable, cell.clip)
    optimizer.step()
    if after is not None:
        after()
    optimizer.zero_grad(set_to_none=True)
    return mean_loss(sum(map(float, losses)), cell)


def optimizer_of(model: torch.nn.Module, cell: Cell) -> torch.optim.Optimizer:
    """Return the optimizer of a cell. The classifier has its own learning rate."""
    assert cell.lr is not None
    head: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (head if not cell.uses_lm_head and is_head(name) else rest).append(parameter)
    groups = [
        {"params": rest, "lr": cell.lr},
        {"params": head, "lr": cell.lr if cell.head_lr is None else cell.head_lr},
    ]
    filled = [group for group in groups if group["params"]]
    decay = cell.weight_decay
    if cell.levers.optimizer == "adafactor":
        return torch.optim.Adafactor(filled, weight_decay=decay)
    if cell.levers.optimizer == "adamw8bit":
        from bitsandbytes.optim import AdamW8bit

        eight_bit: torch.optim.Optimizer = AdamW8bit(filled, weight_decay=decay)
        return eight_bit
    # On a CPU it takes a fifth of the time of the loop over tensors.
    return torch.optim.AdamW(filled, weight_decay=decay, fused=True)


def _triangle(total: int, warmup: float) -> Callable[[int], float]:
    rise = max(1, round(total * warmup))

    def factor(step: int) -> float:
        return min((step + 1) / rise, max(0.0, (total - step) / max(1, total - rise)))

    return factor
