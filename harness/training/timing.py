"""Steps of a probe, and the rounds in which the arms of a timing group take turns.

One arm steps at a time. In each round every arm does one training step and one forward pass, and
with `decode` a prefill and decoding, in a random order of arms. So a disturbance of the machine
meets all arms alike, and ratios between arms are taken within a round.
"""

from __future__ import annotations

import itertools
import random
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, Protocol

import torch

from harness.core.cell import Cell
from harness.core.methods import ZERO_SHOT
from harness.core.result import CellResult, Cost
from harness.core.timing import (
    MERGED,
    PHASES,
    USE_PHASES,
    Phase,
    Timing,
    compared,
    middle,
    paired_ratios,
)
from harness.training.batches import random_batch
from harness.training.decoding import Use, merged
from harness.training.evaluate import autocast, moved
from harness.training.loop import optimizer_of, train_step
from harness.training.memory import create_state, measure_memory
from harness.training.meter import MemoryMeter, Rate, synchronize
from harness.training.methods import after_step
from harness.training.work import count_work

Turn = Phase | Literal["end"]
"""What an arm is asked for."""

_BUDGET = 3.0
"""Seconds of rounds for each of `probe.steps`."""
_ENOUGH, _TIGHT = 12, 0.01
"""A group with this many rounds ends if every ratio's interval has at most this half width."""
_WIDE, _PATIENCE = 0.04, 4.0
"""A disturbed group goes on while an interval is wider, for this many times its budget at most."""
_MOST = 100
"""Rounds that a result file keeps."""


class Reading(NamedTuple):
    """Seconds of one step; CPU seconds are summed over the threads of the process."""

    wall: float
    cpu: float


def phases_of(cell: Cell) -> tuple[Phase, ...]:
    """What a probe is asked for in each round. The zero-shot backbone is used, not trained."""
    trained = () if cell.method == ZERO_SHOT else PHASES
    return (*trained, *USE_PHASES, *MERGED.values()) if cell.decode else trained


Turns = Generator[Reading | None, Turn, CellResult]
"""An arm as a generator: it loads its model, yields None, then a reading for each turn."""


class Arm(Protocol):
    """A cell of a group that takes turns, in this process or in another."""

    result: CellResult | None
    """Set when the arm has ended, also if it has failed."""

    def ask(self, turn: Turn | None) -> Reading | None:
        """Do a turn; None prepares the arm. Return None if the arm has no reading or has ended."""


class HereArm:
    """An arm in this process."""

    def __init__(self, turns: Turns) -> None:
        self.result: CellResult | None = None
        self._turns = turns

    def ask(self, turn: Turn | None) -> Reading | None:
        """Do a turn."""
        try:
            return self._turns.send(turn)  # type: ignore[arg-type]  # None starts a generator
        except StopIteration as ended:
            self.result = ended.value
            return None


class Probe:
    """The steps of a model on a full-length batch of random tokens."""

    def __init__(self, model: Any, cell: Cell) -> None:
        vocabulary = int(model.config.vocab_size)
        batch = random_batch(vocabulary, cell.batch_size, cell.length, cell.seed, cell.uses_lm_head)
        self._model, self._cell = model, cell
        self._inputs = moved(batch, cell.device)
        self._trainable = [p for p in model.parameters() if p.requires_grad]
        self._after, self._count = after_step(model), itertools.count(1)
        self._use = Use(model, cell, self._inputs["input_ids"])
        self._run: dict[Phase, Callable[[], Any]] = {
            "train": self.train, "eval": self.forward,
            "prefill": self._use.prefill, "decode": self._use.decode,
            "prefill_merged": self._use.prefill, "decode_merged": self._use.decode,
        }  # fmt: skip

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of the training step; the zero-shot backbone has nothing to optimize."""
        return optimizer_of(self._model, self._cell)

    def prepare(self, meter: MemoryMeter) -> tuple[dict[str, Any], Timing]:
        """Do the untimed steps; return fields of `Cost`, and FLOPs.

        Afterwards `meter` measures the peak of the timed steps, which is that of training.
        """
        tokens = self._cell.batch_size * self._cell.length
        if not self._trainable:
            return self._use.prepare(), Timing(step_tokens=tokens)
        flops: dict[Phase, int] = {}

        def train() -> None:
            flops["train"] = count_work(self.train).flops

        memory = measure_memory(self._model, self.optimizer, train, self.forward, meter)
        meter.reset()
        flops["eval"] = count_work(self.forward).flops
        memory["eval_peak_bytes"] = meter.peak()
        used = self._use.prepare() if self._cell.decode else {}
        create_state(self.optimizer)
        meter.reset()
        return memory | used, Timing(
            step_tokens=tokens, train_flops=flops["train"], eval_flops=flops["eval"]
        )

    def run(self, phase: Phase) -> None:
        """Do a step of this kind and wait for it."""
        self._run[phase]()
        synchronize(self._cell.device)

    def timed(self, phase: Phase) -> Reading | None:
        """Do a step of this kind and return its seconds; None if the adapter cannot be merged.

        On a GPU the arms share its memory: an arm returns what it does not hold between its turns.
        The step before the timed one gets the memory again, and raises the clock.
        """
        with_merged = phase in MERGED.values()
        if with_merged and not self._use.merges:
            return None
        shared = self._cell.device == "cuda"
        with merged(self._model) if with_merged else nullcontext():
            if shared:
                self.run(phase)
            cpu, wall = time.process_time(), time.perf_counter()
            self.run(phase)
            reading = Reading(time.perf_counter() - wall, time.process_time() - cpu)
        if shared:
            torch.cuda.empty_cache()
        return reading

    def train(self) -> None:
        """Do a training step."""
        self._model.train()
        hook = self._after and partial(self._after, next(self._count))
        train_step(self._model, self._inputs, self.optimizer, self._trainable, self._cell, hook)

    def forward(self) -> None:
        """Do a forward pass without gradients."""
        self._model.eval()
        with torch.inference_mode(), autocast(self._cell):
            self._model(**self._inputs)


def peak_flops_per_s(cell: Cell, size: int = 1024, repeats: int = 8) -> float:
    """Return the FLOP/s of the fastest of several products of square matrices of a cell's dtype."""
    kind = torch.bfloat16 if cell.dtype == "bfloat16" else torch.float32
    if cell.device != "cpu":  # larger products, and more of them until the clock is high
        size, repeats = 8 * size, 12 * repeats
    a = torch.randn(size, size, device=cell.device).to(kind)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(repeats):
            synchronize(cell.device)
            start = time.perf_counter()
            a @ a
            synchronize(cell.device)
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def in_rounds(
    arms: Sequence[Arm],
    cells: Sequence[Cell],
    budget: float | None = None,
    at_once: int = 1,
    peak: float | None = None,
    group: str = "",
) -> list[CellResult]:
    """Prepare the arms of a group, let them take turns, and return a result for each.

    An arm that fails ends; the others go on. After `budget` seconds, only the least number of
    rounds is completed; without a budget, here or in the sweep, the default is extended while
    intervals are wide. `at_once` arms with processes of their own are prepared at a time, because
    these steps are not timed. `peak` (FLOP/s) is measured in this process unless it is given;
    `group` names the group.
    """
    peak = peak_flops_per_s(cells[0]) if peak is None else peak
    if at_once == 1:  # an arm in this process stays in this thread
        for arm in arms:
            arm.ask(None)
    else:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda arm: arm.ask(None), arms))
    phases = [phases_of(cell) for cell in cells]
    readings: list[dict[Phase, list[Reading]]] = [{p: [] for p in own} for own in phases]
    order = random.Random(cells[0].seed)
    least, start, rounds = cells[0].steps or 1, time.monotonic(), 0
    asked = cells[0].probe_seconds if budget is None else budget
    budget = _BUDGET * least if asked is None else asked
    limit = budget * _PATIENCE if asked is None else budget
    while alive := [i for i, arm in enumerate(arms) if arm.result is None]:
        used = time.monotonic() - start
        if rounds >= least and (used >= limit or rounds >= _MOST):
            break
        if rounds >= (least if used >= budget else max(least, _ENOUGH)):
            widest = _widest([readings[i] for i in alive], cells[0].device)
            if widest <= (_WIDE if used >= budget else _TIGHT):
                break
        order.shuffle(alive)
        for i in alive:
            for phase in phases[i]:
                if arms[i].result is None and (reading := arms[i].ask(phase)):
                    readings[i][phase].append(reading)
        rounds += 1
    group = group or new_group()
    return [_ended(arm, own, group, peak) for arm, own in zip(arms, readings, strict=True)]


def new_group() -> str:
    """Return a name for a group."""
    return uuid.uuid4().hex[:12]


def _widest(alive: Sequence[dict[Phase, list[Reading]]], device: str) -> float:
    """Return the largest half width of the ratios to the first arm; infinite with one round."""
    widths = [0.0]
    for phase in ("train", *USE_PHASES):
        times = {
            str(i): compared([r.wall for r in own[phase]], [r.cpu for r in own[phase]], device)
            for i, own in enumerate(alive)
            if own.get(phase)
        }
        first, *others = times or [""]
        if others:
            ratios = paired_ratios(times, first)
            widths += [ratios[arm].half_width for arm in others]
    return max(widths)


def _ended(arm: Arm, readings: dict[Phase, list[Reading]], group: str, peak: float) -> CellResult:
    """Return the result of an arm with its rounds."""
    if arm.result is None:
        arm.ask("end")
    result = arm.result
    assert result is not None
    timing = (result.timing or Timing()).model_copy(
        update={"group": group, "peak_flops_per_s": float(f"{peak:.4g}") or None}
    )
    if result.ok:
        cell = result.cell
        found: dict[str, Any] = {"rounds": max(map(len, readings.values()))}
        rates: dict[str, Any] = {}
        for phase, own in readings.items():
            if not own:  # the adapter cannot be merged
                continue
            walls, cpus = ([float(f"{s:.6g}") for s in ss] for ss in zip(*own, strict=True))
            found |= {f"{phase}_round_s": walls, f"{phase}_round_cpu_s": cpus}
            if phase in PHASES:
                found[f"{phase}_cpu_s"] = middle(cpus)
            decoding = phase in ("decode", MERGED["decode"])
            tokens = cell.decode * cell.batch_size if decoding else timing.step_tokens or 0
            rate = Rate([tokens] * len(walls), walls)
            rates |= rate.row(f"{phase}_tokens_per_s", steady=True)
        seconds = middle(found.get("train_round_s", []))
        if seconds and timing.train_flops and peak:
            found["train_peak_share"] = timing.train_flops / seconds / peak
        timing = timing.model_copy(update=found)
        result.cost = (result.cost or Cost()).model_copy(update=rates)
    result.timing = timing
    return result
