"""The bill of a sweep: what each of its cells will cost, and which of them will not fit."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.core.cell import Cell
from harness.core.methods import FULL, SSMLORA, TFIDF, ZERO_SHOT
from harness.core.predicted import Predicted, PredictedRun
from harness.costs import cache
from harness.costs.calibration import calibration
from harness.costs.devices import Device, reserve_of, this_gpu
from harness.costs.rates import Rates, fitted, roofline
from harness.costs.shapes import ShapeCost, shape_costs, shape_of
from harness.models.backbones import Backbone
from harness.system.machine import describe_machine
from harness.system.resources import available_cores, available_memory
from harness.training.peft_methods import training_steps

_BASE_BYTES, _RESIDENT = 370 * 2**20, 1.15
"""Resident memory: the process without a model, and a step over its live bytes. With them the
resident peaks of the training steps in `published/cost` are right within 4 %."""

_LOAD_BYTES_PER_S = 0.6e9
"""Loading of weights, measured on the embedded backbones."""

_DECODED = 20
"""Tokens of a prefill that take the time of one decoded token: 19 to 25 on SmolLM2 at 128 and 256
tokens on a CPU."""

_PREPARATION = 2
"""Untimed steps of a probe, in steps of its rounds."""

_SECONDS_PER_STEP, _MOST_ROUNDS = 3.0, 100
"""As `harness.training.timing` has them."""

_FILE_BYTES, _BYTES_PER_TEXT = 5_000, 60
"""Size of a result file, and of the answer to a test text in it."""

Listener = Callable[[str], None]
"""Called with what is going on."""


@dataclass(frozen=True)
class Bill:
    """The predictions for a sweep.

    Attributes:
        run: the content of `predictions.json`.
        memory_bytes: what a cell may take: live bytes on a device, resident memory here.
        unfit: ids of cells that will not fit.
        seconds: of the whole sweep; None if times are unknown.
    """

    run: PredictedRun
    memory_bytes: int
    unfit: frozenset[str]
    seconds: float | None

    @property
    def range_s(self) -> tuple[float, float] | None:
        """The range of `seconds`, from the error of the calibration."""
        error = self.run.time_error
        if self.seconds is None or error is None:
            return None
        return self.seconds * max(0.0, 1 - error), self.seconds * (1 + error)


def make_bill(
    cells: Sequence[Cell],
    backbone: Backbone,
    workers: int,
    device: Device | None = None,
    cell_bytes: int | None = None,
    say: Listener = lambda _: None,
    calibrate: bool = True,
) -> Bill:
    """Price the cells of a sweep.

    Args:
        cells: of one backbone.
        backbone: its configuration is read.
        workers: cells at a time.
        device: another device than this machine.
        cell_bytes: the memory limit of a cell on this machine.
        say: is called with what is going on.
        calibrate: False takes a calibration of this machine from the cache only; without one, times
            are unknown.
    """

    def listen(done: int, total: int) -> None:
        say(f"pricing: {done} of {total} dry runs")

    costs = shape_costs(cells, backbone, available_cores(), listen)
    rates = None
    if device is not None:
        rates = roofline(device, cells[0].dtype)
    else:
        if calibrate:
            say("calibrating the time of a step on this machine (once, about half a minute)")
        known = calibration(cells[0].dtype, cells[0].device, describe_machine(), calibrate)
        if known:
            rates = fitted(known.points)
    gpu = device or (this_gpu() if cells[0].device == "cuda" else None)
    workspace = gpu.workspace_bytes if gpu else 0
    found = {cell.id: _of_steps(cell, costs, rates, workspace) for cell in cells}
    seconds = _cell_seconds(cells, found)
    found = {
        i: one.model_copy(update={"cell_s": _rounded(seconds.get(i))}) for i, one in found.items()
    }
    if gpu:
        limit = gpu.memory_bytes - reserve_of(gpu.memory_bytes)
    else:
        limit = min(available_memory(), cell_bytes or available_memory())
    run = PredictedRun(
        versions={**cache.versions()},
        device=device.name if device else None,
        time_error=_rounded(rates.error) if rates else None,
        cells=found,
    )
    taken = {i: _taken(one, gpu is not None) for i, one in found.items()}
    unfit = frozenset(i for i, size in taken.items() if size is not None and size > limit)
    return Bill(run, limit, unfit, _total(cells, seconds, workers))


def _taken(one: Predicted, of_tensors: bool) -> int | None:
    """The memory of a cell that is held against the limit."""
    if not of_tensors:
        return one.resident_bytes
    return max(one.train_live_peak_bytes or 0, one.eval_live_peak_bytes or 0) or None


def _of_steps(
    cell: Cell, costs: dict[str, ShapeCost], rates: Rates | None, workspace: int
) -> Predicted:
    """Predict the steps of a cell. Workspaces of a GPU are there after the first product."""
    test_texts = cell.test_examples or 0
    size = _FILE_BYTES + _BYTES_PER_TEXT * test_texts
    cost = costs.get(shape_of(cell).id)
    if cost is None or cost.train is None or cost.eval is None:
        return Predicted(result_bytes=size, reason=cost.reason if cost else None)
    train = None if cell.method == ZERO_SHOT else cost.train
    live = max(step.peak_bytes for step in (train, cost.eval) if step)
    return Predicted(
        train_live_peak_bytes=train.peak_bytes + workspace if train else None,
        eval_live_peak_bytes=cost.eval.peak_bytes + workspace,
        parts={**train.parts, "transient": train.parts["transient"] + workspace} if train else {},
        resident_bytes=int(_BASE_BYTES + _RESIDENT * live),
        train_flops=train.work.flops if train else None,
        eval_flops=cost.eval.work.flops,
        trainable_params=cost.trainable_params if train else 0,
        head_params=cost.head_params if train else 0,
        total_params=cost.total_params,
        train_step_s=_rounded(rates.time(train.work)) if rates and train else None,
        eval_step_s=_rounded(rates.time(cost.eval.work)) if rates else None,
        result_bytes=size,
    )


def _cell_seconds(cells: Iterable[Cell], found: dict[str, Predicted]) -> dict[str, float]:
    """Seconds of each cell by id, where the times of its steps are known."""
    seconds: dict[str, float] = {}
    groups: dict[tuple[int, int], list[Cell]] = defaultdict(list)
    for cell in cells:
        one = found[cell.id]
        if one.eval_step_s is None:
            continue
        seconds[cell.id] = 4 * (one.total_params or 0) / _LOAD_BYTES_PER_S
        if cell.kind == "train":
            seconds[cell.id] += _training(cell, one.train_step_s or 0.0, one.eval_step_s)
        else:
            groups[cell.length, cell.batch_size].append(cell)
    for group in groups.values():
        rounds = {c.id: _round(c, found[c.id]) for c in group}
        for cell in group:
            budget = cell.probe_seconds
            budget = _SECONDS_PER_STEP * (cell.steps or 1) if budget is None else budget
            count = min(_MOST_ROUNDS, max(cell.steps or 1, budget / sum(rounds.values())))
            seconds[cell.id] += (count + _PREPARATION) * rounds[cell.id]
    return seconds


def _round(cell: Cell, one: Predicted) -> float:
    """Seconds of a probe in a round: a training step, a forward pass, and what it decodes."""
    forward = one.eval_step_s or 0.0
    trained = 0.0 if cell.method == ZERO_SHOT else (one.train_step_s or 0.0) + forward
    if not cell.decode:
        return trained
    used = forward * (1 + cell.decode * _DECODED / cell.length)
    return trained + used * (1 if cell.method in (FULL, ZERO_SHOT, SSMLORA) else 2)


def _training(cell: Cell, train_s: float, eval_s: float) -> float:
    """Seconds of training and evaluation, with every text as long as the cell allows."""

    def batches(texts: int | None) -> int:
        return math.ceil((texts or 0) / cell.batch_size)

    tests = batches(cell.test_examples)
    passes = batches(cell.validation_examples) * (cell.validations or 0) + tests
    passes += 2 * batches(cell.forgetting_examples)
    others = tests * sum(cell.test_lengths) / cell.length
    steps = 0 if cell.method in (TFIDF, ZERO_SHOT) else training_steps(cell)
    return steps * train_s + (passes + others) * eval_s


def _total(cells: Sequence[Cell], seconds: dict[str, float], workers: int) -> float | None:
    """Seconds of the whole sweep: training cells side by side, then probes one at a time."""
    if not seconds:
        return None
    training = [seconds[c.id] for c in cells if c.kind == "train" and c.id in seconds]
    probes = sum(seconds[c.id] for c in cells if c.kind == "probe" and c.id in seconds)
    return max(sum(training) / workers, max(training, default=0.0)) + probes


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
