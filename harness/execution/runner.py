"""Runs a plan into a folder: skips what is done, keeps every outcome, survives being stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.cell import Cell
from harness.core.folder import Manifest, RunFolder, RunTime
from harness.core.result import CellResult
from harness.execution.local import Engine, LocalEngine
from harness.execution.machine import describe_machine
from harness.execution.worker import Job
from harness.models.backbones import find_backbone
from harness.planning.plan import Plan
from harness.planning.resources import available_cores, available_memory
from harness.planning.sweep import as_file
from harness.planning.yaml_files import dump_yaml


@dataclass
class Progress:
    """What a display needs to know, as of now."""

    total: int
    done: int = 0
    failed: int = 0
    running: int = 0
    work_total: float = 0.0
    work_done: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended: results of all the sweep's cells so far, and whether it was interrupted."""

    results: dict[str, CellResult]
    ran: int
    interrupted: bool
    manifest: Manifest

    @property
    def failed(self) -> int:
        """Cells whose last result is a failure."""
        return sum(not result.ok for result in self.results.values())


def run_plan(
    plan: Plan,
    folder: RunFolder,
    workers: int,
    retry: Collection[str] = (),
    report: Callable[[Progress, CellResult | None], None] = lambda *_: None,
) -> Outcome:
    """Run the cells of a plan that have no result yet, or one whose status is in `retry`.

    `folder` must be held. `report` is called at the start and after every cell.
    """
    started = time.monotonic()
    ids = [cell.id for cell in plan.cells]
    stored = folder.read(ids)
    results = stored.results
    pending = [c for c in plan.cells if c.id not in results or results[c.id].statuses & {*retry}]
    folder.write_sweep(dump_yaml(as_file(plan.sweep)))
    update = {"name": plan.sweep.name, "ids": ids, "finished": False}
    manifest = stored.manifest.model_copy(update=update)
    folder.write_manifest(manifest)
    progress = Progress(
        total=len(plan.cells),
        done=len(plan.cells) - len(pending),
        failed=sum(not r.ok for r in results.values()) - sum(c.id in results for c in pending),
        running=min(workers, len(pending)),  # being started
        work_total=sum(cell.estimated_cost for cell in pending),
    )
    report(progress, None)
    ran: dict[str, CellResult] = {}
    interrupted = False
    if pending:
        try:
            with _TerminateAsInterrupt():
                _run(plan, pending, folder, workers, ran, progress, report)
        except KeyboardInterrupt:
            interrupted = True
    results |= ran
    if pending:
        manifest.runs = [*manifest.runs, _run_time(ran, time.monotonic() - started, workers)]
    manifest.finished = not interrupted and len(results) == len(ids)
    folder.write_manifest(manifest)
    return Outcome(results, len(ran), interrupted, manifest)


def _run(
    plan: Plan,
    pending: list[Cell],
    folder: RunFolder,
    workers: int,
    ran: dict[str, CellResult],
    progress: Progress,
    report: Callable[[Progress, CellResult | None], None],
) -> None:
    machine = describe_machine()
    limits = plan.sweep.limits
    backbone = find_backbone(plan.sweep.backbone).folder
    queue = list(reversed(pending))
    costs = {cell.id: cell.estimated_cost for cell in pending}
    # One thread a process: libraries read these when the fork server imports them.
    os.environ.update({"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"})
    engine: Engine = LocalEngine(limits.cell_seconds)
    memory = None if limits.cell_gib is None else int(limits.cell_gib * 2**30)

    def fill() -> None:
        while queue and progress.running < workers:
            cell = queue.pop()
            log = folder.logs.resolve() / f"{cell.id}.log"
            engine.start(Job(cell, backbone, machine, log, memory, plan.tasks_dir, threads=1))
            progress.running += 1

    progress.running = 0
    try:
        with _stopped_together(engine):
            fill()
            while progress.running:
                for result in engine.finished(timeout=0.5):
                    folder.write_result(result)
                    ran[result.id] = result
                    progress.running -= 1
                    progress.done += 1
                    progress.failed += not result.ok
                    progress.work_done += costs[result.id]
                    fill()
                    report(progress, result)
    finally:
        engine.stop()
        progress.running = 0


def _run_time(ran: dict[str, CellResult], wall: float, workers: int) -> RunTime:
    """Wall time of this run, and how much of it was training, evaluating or probing."""
    phases = ("train", "eval", "probe")
    busy = sum(getattr(r.seconds, name) or 0.0 for r in ran.values() for name in phases)
    return RunTime(cells=len(ran), wall_s=wall, busy_s=busy, workers=workers)


@contextmanager
def _stopped_together(engine: Engine) -> Iterator[None]:
    """Ctrl-Z stops the cells as well: they are in process groups of their own."""

    def stop(*_: object) -> None:
        engine.send(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        engine.send(signal.SIGCONT)  # `fg` or `bg` continued the run

    before = signal.getsignal(signal.SIGTSTP)
    if before == signal.SIG_DFL:
        signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        if before == signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, before)


class _TerminateAsInterrupt:
    """SIGTERM ends a run the way Ctrl-C does."""

    def __enter__(self) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        self._before = signal.signal(signal.SIGTERM, interrupt)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)


def default_workers(device: str) -> int:
    """One a core that this process may use, with 2.5 GiB of memory each; one on an accelerator."""
    if device == "cuda":
        return 1
    return max(1, min(available_cores(), int(available_memory() / 2.5 / 2**30)))


def default_folder(name: str) -> Path:
    """Where a sweep's results go unless `--out` says otherwise."""
    return Path("runs") / name
