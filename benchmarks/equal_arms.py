"""Whether two copies of one arm are measured as equally fast (an A/A check of timing groups).

Each pair is a timing group of two arms that differ in their seed only. The 95 % interval of their
ratio must contain 1 in 90 of 100 pairs, and must be narrow. `--slower 1.03` multiplies the times of
the second arm, to see that a real difference is found. `--burners` keeps other processors busy.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import harness.execution.preload  # noqa: F401  # as the server from which arms are forked
from harness.core.cell import Cell
from harness.core.timing import Ratio, paired_ratios
from harness.execution.executor import Job
from harness.execution.timing_group import ForkedArm
from harness.models.backbones import find_backbone
from harness.training.timing import Reading, Turn, in_rounds

HALF_WIDTH = 0.04
"""Largest half width of an interval."""


class Slowed(ForkedArm):
    """An arm whose times are multiplied by a factor."""

    factor = 1.0

    def ask(self, turn: Turn | None) -> Reading | None:
        """Do a turn, and report a longer time."""
        reading = super().ask(turn)
        return reading and Reading(*(seconds * self.factor for seconds in reading))


def measure(job: Job, seconds: float) -> Ratio:
    """Run one pair in rounds and return the ratio of the training steps of its arms."""
    arms = [ForkedArm(job, job.cells[0], 600), Slowed(job, job.cells[1], 600)]
    results = in_rounds(arms, job.cells, seconds)
    times = {}
    for name, result in zip("ab", results, strict=True):
        assert result.ok, result.error
        assert result.timing is not None
        times[name] = result.timing.seconds("train")
    return paired_ratios(times, "a")["b"]


@contextmanager
def burning(count: int) -> Iterator[None]:
    """Keep `count` processors busy."""
    code = [sys.executable, "-c", "while True: pass"]
    started = [subprocess.Popen(code) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def main() -> int:
    """Print each ratio and a summary; exit 1 if the check fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4.0, help="of the rounds of a pair")
    parser.add_argument("--slower", type=float, default=1.0, help="factor of the second arm")
    parser.add_argument("--burners", type=int, default=0, help="other busy processes")
    options = parser.parse_args()
    Slowed.factor = options.slower
    backbone = find_backbone("minilm")
    cells = tuple(
        Cell(
            kind="probe", task=None, backbone="minilm", method="lora", density=1.0,
            placement="alternate", rank=8, alpha=16.0, target="attention", length=options.length,
            seed=seed, lr=1e-4, batch_size=1, steps=3, dtype="float32", device="cpu",
        )
        for seed in (0, 1)
    )  # fmt: skip
    found: list[Ratio] = []
    with tempfile.TemporaryDirectory() as logs, burning(options.burners):
        for _ in range(options.pairs):
            found.append(measure(Job(cells, backbone, Path(logs)), options.seconds))
            ratio = found[-1]
            print(f"{ratio.value:.4f} {ratio.low:.4f} {ratio.high:.4f} {ratio.rounds}", flush=True)
    contain = sum(ratio.low <= 1 <= ratio.high for ratio in found)
    widths = sorted(ratio.half_width for ratio in found)
    narrow = sum(width <= HALF_WIDTH for width in widths)
    print(
        f"{contain} of {len(found)} intervals contain 1; half width: median {median(widths):.1%}, "
        f"largest {widths[-1]:.1%}, at most {HALF_WIDTH:.0%} in {narrow}; median ratio "
        f"{median(ratio.value for ratio in found):.4f}"
    )
    return 0 if contain >= 0.9 * len(found) and median(widths) <= HALF_WIDTH else 1


if __name__ == "__main__":
    raise SystemExit(main())
