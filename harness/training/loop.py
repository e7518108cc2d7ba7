"""The training loop and the cost probe. Plain PyTorch: nothing between steps."""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch

from harness.core.cell import Cell
from harness.core.result import CurvePoint, Scores
from harness.training.batches import Encoded, padded, random_batch
from harness.training.evaluate import Diverged, autocast, evaluate, moved, validation_scores
from harness.training.meter import MemoryMeter, Rate, Stopwatch, synchronize
from harness.training.methods import after_step

_VALIDATED = {"validation_loss", "validation_score", "validation_accuracy"}


class Outcome(NamedTuple):
    """What training gave: validations, the scores of the last one, fields of `Cost`."""

    curve: list[CurvePoint]
    scores: Scores
    cost: dict[str, Any]


_LEAST_SECONDS = 1.0
"""A probe measures for at least this long: a few very short steps say little."""


def train(
    model: Any,
    cell: Cell,
    data: Encoded,
    validation: Encoded,
    pad_id: int,
    watch: Stopwatch,
    meter: MemoryMeter,
) -> Outcome:
    """Train by the cell's settings; return curve, throughput, peak memory and last validation.

    AdamW, linear warm-up and decay to zero, gradients clipped by their global norm. Validation
    comes at equal distances, is timed as evaluation, and does not enter the training peak.

    Raises:
        Diverged: a loss that is not finite.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    assert cell.epochs is not None
    optimizer = _optimizer(trainable, cell)
    per_epoch = math.ceil(len(data) / cell.batch_size)
    total = per_epoch * cell.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _triangle(total, cell.warmup))
    stops = {
        math.ceil(total * k / (cell.validations or 1))
        for k in range(1, (cell.validations or 1) + 1)
    }
    shuffle = torch.Generator().manual_seed(cell.seed)
    curve: list[CurvePoint] = []
    rate, peak, step = Rate(), 0, 0
    after = after_step(model)
    losses: list[float] = []
    meter.reset()
    model.train()
    for _ in range(cell.epochs):
        order = torch.randperm(len(data), generator=shuffle).tolist()
        for _, inputs, tokens in padded(data, order, cell.batch_size, pad_id):
            with watch.phase("train"):
                start = time.perf_counter()
                step += 1
                loss = _step(
                    model, inputs, optimizer, trainable, cell, after and partial(after, step)
                )
                schedule.step()
                rate.add(tokens, time.perf_counter() - start)
            if not math.isfinite(loss):
                raise Diverged(f"the training loss became {loss} at step {step} of {total}")
            losses.append(loss)
            if step in stops:
                peak = max(peak, meter.peak() or 0)
                with watch.phase("eval"):
                    seen = evaluate(model, cell, validation, pad_id)
                curve.append(
                    CurvePoint(
                        step=step,
                        examples=step * cell.batch_size,
                        train_loss=sum(losses) / len(losses),
                        validation_loss=seen.loss,
                        **validation_scores(seen.answers, validation),
                    )
                )
                _report(curve[-1], total)
                losses = []
                model.train()
                meter.reset()
    last = curve[-1].model_dump(include=_VALIDATED, exclude_unset=True)
    return Outcome(
        curve,
        Scores(metric=data.metadata.metric, **last),
        {**rate.row("train_tokens_per_s", steady=False), "train_peak_bytes": peak or None},
    )


def _report(point: CurvePoint, total: int) -> None:
    """Write a point of the curve to the cell's log, for users who watch a long cell."""
    values = point.model_dump(exclude={"step"}, exclude_none=True)
    text = ", ".join(f"{name} {value:.5g}" for name, value in values.items())
    print(f"step {point.step} of {total}: {text}", file=sys.stderr, flush=True)


def probe(model: Any, cell: Cell, vocabulary: int, meter: MemoryMeter) -> dict[str, Any]:
    """Cost of full-length batches: training steps, then forward passes, each after a warm one.

    Throughput is the median of the steps with its quartiles; peaks are kept apart.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = _optimizer(trainable, cell)
    inputs = random_batch(vocabulary, cell.batch_size, cell.length, cell.seed, cell.uses_lm_head)
    tokens = cell.batch_size * cell.length

    after, steps = after_step(model), itertools.count(1)

    def train_step() -> None:
        hook = after and partial(after, next(steps))
        _step(model, inputs, optimizer, trainable, cell, hook)

    def forward() -> None:
        with torch.inference_mode(), autocast(cell):
            model(**moved(inputs, cell.device))

    meter.reset()
    model.train()
    training = _measured(train_step, tokens, cell)
    cost = {**training.row("train_tokens_per_s", steady=True), "train_peak_bytes": meter.peak()}
    optimizer.state.clear()  # what training alone needs must not stand in the reading's peak
    meter.reset()
    model.eval()
    reading = _measured(forward, tokens, cell)
    return {
        **cost,
        **reading.row("eval_tokens_per_s", steady=True),
        "eval_peak_bytes": meter.peak(),
    }


def attention_kernel(model: Any, cell: Cell, vocabulary: int) -> str:
    """Name the attention kernel that a forward pass really reaches, by watching its operators."""
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


def _step(
    model: Any,
    inputs: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    trainable: list[torch.nn.Parameter],
    cell: Cell,
    after: Callable[[], None] | None = None,
) -> float:
    """One optimizer step; `after` runs while the gradients are there."""
    with autocast(cell):
        loss = model(**moved(inputs, cell.device)).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trainable, cell.clip)
    optimizer.step()
    if after is not None:
        after()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def _optimizer(trainable: list[torch.nn.Parameter], cell: Cell) -> torch.optim.Optimizer:
    """AdamW in one fused kernel: on a CPU a fifth of the time of the loop over tensors."""
    assert cell.lr is not None
    return torch.optim.AdamW(trainable, lr=cell.lr, weight_decay=cell.weight_decay, fused=True)


def _measured(step: Callable[[], Any], tokens: int, cell: Cell) -> Rate:
    """A warm step, then `steps` of them; more where they are short, until a second is full."""
    rate = Rate()
    step()
    while len(rate.seconds) < (cell.steps or 1) or sum(rate.seconds) < _LEAST_SECONDS:
        synchronize(cell.device)
        start = time.perf_counter()
        step()
        synchronize(cell.device)
        rate.add(tokens, time.perf_counter() - start)
    return rate


def _triangle(total: int, warmup: float) -> Callable[[int], float]:
    rise = max(1, round(total * warmup))

    def factor(step: int) -> float:
        return min((step + 1) / rise, max(0.0, (total - step) / max(1, total - rise)))

    return factor
