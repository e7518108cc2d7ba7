"""Whether two copies of one arm are measured as equally fast (an A/A check of timing groups).

Each pair is a timing group of two arms that differ in their seed only. The 95 % interval of the
ratio of their CPU times, which the report shows, must contain 1 in 90 of 100 pairs and must be
narrow; wall-clock time is printed beside it. Rounds end as in a sweep. `--slower 1.03` multiplies
the times of the second arm, to see that a real difference is found. `--burners` keeps other
processors busy.
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


def measure(job: Job) -> tuple[Ratio, Ratio]:
    """Run one pair in rounds and return the ratios of its training steps: CPU and wall time."""
    arms = [ForkedArm(job, job.cells[0], 600), Slowed(job, job.cells[1], 600)]
    results = in_rounds(arms, job.cells)
    walls, cpus = {}, {}
    for name, result in zip("ab", results, strict=True):
        assert result.ok, result.error
        assert result.timing is not None
        walls[name] = result.timing.seconds("train")
        cpus[name] = result.timing.cpu_seconds("train")
    return paired_ratios(cpus, "a")["b"], paired_ratios(walls, "a")["b"]


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
    parser.add_argument("--rounds", type=int, default=3, help="of a pair, at least")
    parser.add_argument("--slower", type=float, default=1.0, help="factor of the second arm")
    parser.add_argument("--burners", type=int, default=0, help="other busy processes")
    options = parser.parse_args()
    Slowed.factor = options.slower
    backbone = find_backbone("minilm")
    cells = tuple(
        Cell(
            kind="probe", task=None, backbone="minilm", method="lora", density=1.0,
            placement="alternate", rank=8, alpha=16.0, target="attention", length=options.length,
            seed=seed, lr=1e-4, batch_size=1, steps=options.rounds, dtype="float32", device="cpu",
        )
        for seed in (0, 1)
    )  # fmt: skip
    found: list[tuple[Ratio, Ratio]] = []
    with tempfile.TemporaryDirectory() as logs, burning(options.burners):
        for _ in range(options.pairs):
            found.append(measure(Job(cells, backbone, Path(logs))))
            texts = (f"{r.value:.4f} ({r.low:.4f} to {r.high:.4f})" for r in found[-1])
            print("CPU and wall:", *texts, flush=True)
    passed = [
        _summary(name, own)
        for name, own in zip(("CPU", "wall"), zip(*found, strict=True), strict=True)
    ]
    return 0 if passed[0] else 1


def _summary(name: str, ratios: tuple[Ratio, ...]) -> bool:
    """Print how many intervals contain 1 and how wide they are; return whether that suffices."""
    contain = sum(ratio.low <= 1 <= ratio.high for ratio in ratios)
    widths = sorted(ratio.half_width for ratio in ratios)
    narrow = sum(width <= HALF_WIDTH for width in widths)
    print(
        f"{name} time: {contain} of {len(ratios)} intervals contain 1; half width: median "
        f"{median(widths):.1%}, largest {widths[-1]:.1%}, at most {HALF_WIDTH:.0%} in {narrow}; "
        f"median ratio {median(ratio.value for ratio in ratios):.4f}"
    )
    return contain >= 0.9 * len(ratios) and narrow >= 0.9 * len(ratios)


if __name__ == "__main__":
    raise SystemExit(main())
