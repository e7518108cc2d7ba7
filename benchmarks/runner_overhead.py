"""Time and memory that a run takes per cell beside the work of the cell itself.

Cells that do nothing run through the in-process executor into a folder in memory: the time per cell
is that of the runner, of the result and of its file. The memory is what a plan and the runner hold
for each cell that waits. Both must not grow with the number of cells.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path

from harness.core.cell import Cell
from harness.core.folder import RunFolder, write_atomically
from harness.core.result import OK, CellResult
from harness.execution.executor import Job
from harness.execution.executors.in_process import InProcessExecutor
from harness.execution.runner import run_plan
from harness.models.backbones import Backbone
from harness.planning.plan import Plan
from harness.planning.sweep import Sweep

MILLISECONDS = 5.0
"""Most time per cell."""
KILOBYTES = 2.5
"""Most memory per waiting cell."""


def make_plan(cells: int) -> Plan:
    """Return a plan of cells that differ by their seeds."""
    sweep = Sweep.model_validate(
        {"name": "overhead", "backbone": "minilm", "methods": ["lora"],
         "tasks": ["newsgroups"], "lengths": [64]}
    )  # fmt: skip
    backbone = Backbone("minilm", Path(), "sha256:" + 64 * "0")
    return Plan(sweep, [_cell(seed, backbone.pin) for seed in range(cells)], None, backbone)


def _cell(seed: int, pin: str) -> Cell:
    return Cell(
        kind="train", task="newsgroups", backbone="minilm", method="lora", density=0.5,
        placement="alternate", rank=8, alpha=16.0, target="attention", length=64, seed=seed,
        lr=1e-3, batch_size=8, examples=512, validation_examples=200, test_examples=500, epochs=1,
        validations=4, dtype="float32", device="cpu",
        revisions={"task": "sha256:" + 64 * "1", "backbone": pin},
    )  # fmt: skip


def done(job: Job) -> list[CellResult]:
    """Return results without doing anything."""
    results = [CellResult.begun(cell) for cell in job.cells]
    for result in results:
        result.status = OK
    return results


def milliseconds_per_cell(cells: int, folder: Path) -> float:
    """Run a plan of cells that do nothing."""
    plan = make_plan(cells)
    start = time.perf_counter()
    with RunFolder(folder) as held:
        outcome = run_plan(plan, held, InProcessExecutor(3600, done))
    assert outcome.ran == cells
    return (time.perf_counter() - start) / cells * 1e3


def milliseconds_per_write(folder: Path, repeats: int = 200) -> float:
    """Write a small file to disk as results are written."""
    start = time.perf_counter()
    for number in range(repeats):
        write_atomically(folder / f"{number}.json", 1000 * "x")
    return (time.perf_counter() - start) / repeats * 1e3


def kilobytes_per_cell(cells: int, folder: Path) -> float:
    """Measure the memory of a plan and a run when the first of its cells runs."""
    held: list[int] = []

    def first(job: Job) -> list[CellResult]:
        held.append(tracemalloc.get_traced_memory()[0])
        raise KeyboardInterrupt

    tracemalloc.start()
    plan = make_plan(cells)
    with RunFolder(folder) as run:
        run_plan(plan, run, InProcessExecutor(3600, first))
    tracemalloc.stop()
    return held[0] / cells / 1024


def main() -> int:
    """Print both figures; exit 1 where one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=5_000, help="cells that run")
    parser.add_argument("--waiting", type=int, default=100_000, help="cells that wait")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where results go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        few = milliseconds_per_cell(max(options.cells // 10, 1), folder / "few")
        many = milliseconds_per_cell(options.cells, folder / "many")
        write = milliseconds_per_write(folder)
        memory = kilobytes_per_cell(options.waiting, folder / "waiting")
    print(f"{many:.2f} ms per cell at {options.cells} cells (limit {MILLISECONDS:g}),", end=" ")
    print(f"{few:.2f} ms at a tenth of them; {write:.2f} ms of it to write a file with fsync")
    print(f"{memory:.2f} KiB per waiting cell at {options.waiting} (limit {KILOBYTES:g})")
    return 0 if many < MILLISECONDS and memory < KILOBYTES else 1


if __name__ == "__main__":
    raise SystemExit(main())
