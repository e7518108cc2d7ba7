"""The longest context that real steps find under a limit, beside the one that dry runs predict.

    python benchmarks/longest_context.py  # MiniLM
    python benchmarks/longest_context.py --model smollm2 --methods lora --limit-mib 3072

Real steps: the length is doubled until a training step has more live bytes than the limit, then the
interval is bisected. Each step runs in a new process and ends where the limit is exceeded. The
prediction makes no step. "Resident" is the peak of the process in the longest step that fits, above
its base.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from unittest.mock import patch

from harness.core.cell import Cell
from harness.core.fits import Memory
from harness.core.levers import Levers
from harness.core.methods import FULL
from harness.core.result import Cost
from harness.costs.fit_table import Question, answer
from harness.execution.cell_main import probe_turns
from harness.models.backbones import Backbone, find_backbone, is_causal_lm
from harness.models.quiet import quiet
from harness.training import memory
from harness.training.timing import HereArm

MIB = 2**20
RESOLUTION = 32


class Limited(memory.LiveBytes):
    """Ends a step that has more live bytes than `limit`."""

    limit = 0

    def _keep_peak(self) -> None:
        super()._keep_peak()
        if self.peak > self.limit:
            raise MemoryError(f"{self.peak:,} live bytes")


def step(cell: Cell, backbone: Backbone, limit: int) -> Cost | None:
    """The cost of a training step; None if it has more live bytes than `limit`."""
    arm = HereArm(probe_turns(cell, backbone))
    Limited.limit = limit
    silent = patch("harness.execution.cell_main.log_traceback")
    with quiet(), silent, patch.object(memory, "LiveBytes", Limited):
        arm.ask(None)
        if arm.result is None:
            arm.ask("end")
    assert arm.result
    if arm.result.status not in ("ok", "oom"):
        raise RuntimeError(arm.result.error)
    return arm.result.cost if arm.result.ok else None


def bisected(fits: Callable[[int], Any], start: int) -> int:
    """The longest length that fits, to `RESOLUTION` tokens, by doubling and bisecting."""
    low, high = 0, start
    while fits(high):
        low, high = high, 2 * high
    while high - low > RESOLUTION:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def cell_of(method: str, backbone: Backbone, density: float, dtype: str, levers: Levers) -> Cell:
    """A probe of a method; a causal language model predicts tokens."""
    adapter = {"density": density, "placement": "alternate", "rank": 8, "alpha": 16.0}
    causal = is_causal_lm(backbone)
    return Cell(
        kind="probe", task=None, backbone=backbone.name, method=method, length=8, seed=0, lr=1e-4,
        batch_size=1, steps=2, probe_seconds=0, dtype=dtype, device="cpu", uses_lm_head=causal,
        lm_loss="chunked" if causal else None, levers=levers,
        **({} if method == FULL else {**adapter, "target": "attention"}),
    )  # fmt: skip


def compared(cell: Cell, backbone: Backbone, limit: int, start: int) -> str:
    """Predict and measure the longest context of an arm; one row of the table."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["harness.execution.preload"])
    costs: dict[int, Cost | None] = {}

    def fits(length: int) -> bool:
        at = cell.model_copy(update={"length": length})
        with ProcessPoolExecutor(1, mp_context=server) as process:
            costs[length] = process.submit(step, at, backbone, limit).result()
        return costs[length] is not None

    begun = time.perf_counter()
    space = Memory(name="limit", bytes=limit, reserve_bytes=0)
    predicted = answer(Question(cell.arm, "", cell, [space]), backbone)[0]
    between = time.perf_counter()
    found = bisected(fits, start)
    seconds = time.perf_counter() - between
    cost = costs.get(found) or Cost()
    error = f"{predicted.length / found - 1:+.1%}" if predicted.length and found else ""
    live, resident = cost.train_live_peak_bytes or 0, cost.train_resident_bytes or 0
    return (
        f"| {cell.arm} | {predicted.text} | {between - begun:.0f} | {found:,} | {len(costs)} | "
        f"{seconds:.0f} | {error} | {live / MIB:.1f} | {resident / MIB:.1f} |"
    )


def main() -> None:
    """Compare, one line for each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--methods", nargs="+", default=["full", "lora", "ssmlora"])
    parser.add_argument("--density", type=float, default=1.0)
    parser.add_argument("--limit-mib", type=float, default=560.0)
    parser.add_argument("--start", type=int, default=512)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--checkpointing", action="store_true")
    asked = parser.parse_args()
    levers = Levers(checkpointing="full") if asked.checkpointing else Levers()
    backbone = find_backbone(asked.model)
    print("| arm | predicted | s | real steps | steps | s | error | live MiB | resident MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for method in asked.methods:
        cell = cell_of(method, backbone, asked.density, asked.dtype, levers)
        print(compared(cell, backbone, int(asked.limit_mib * MIB), asked.start), flush=True)


if __name__ == "__main__":
    main()
