"""Runs a plan into a folder: skips what is done, keeps every outcome, survives being stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.cell import Cell
from harness.core.folder import RunFolder
from harness.core.result import FAILURES
from harness.execution.local import Engine, LocalEngine
from harness.execution.machine import describe_machine
from harness.execution.worker import Job
from harness.models.backbones import find_backbone
from harness.planning.plan import Plan
from harness.planning.resources import available_cores, available_memory

STATUSES = FAILURES


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

    results: dict[str, dict[str, Any]]
    ran: int
    interrupted: bool
    manifest: dict[str, Any]

    @property
    def failed(self) -> int:
        """Cells whose last result is a failure."""
        return sum(result["status"] != "ok" for result in self.results.values())


def run_plan(
    plan: Plan,
    folder: RunFolder,
    workers: int,
    retry: Collection[str] = (),
    report: Callable[[Progress, dict[str, Any] | None], None] = lambda *_: None,
) -> Outcome:
    """Run the cells of a plan that have no result yet, or one whose status is in `retry`.

    `folder` must be held. `report` is called at the start and after every cell.
    """
    started = time.monotonic()
    ids = [cell.id for cell in plan.cells]
    results = folder.results(ids)
    pending = [c for c in plan.cells if c.id not in results or outcomes(results[c.id]) & {*retry}]
    folder.write_sweep(plan.sweep)
    manifest = {**folder.read_manifest(), "name": plan.sweep.name, "ids": ids, "finished": False}
    folder.write_manifest(manifest)
    progress = Progress(
        total=len(plan.cells),
        done=len(plan.cells) - len(pending),
        failed=sum(r["status"] != "ok" for r in results.values())
        - sum(c.id in results for c in pending),
        running=min(workers, len(pending)),  # being started
        work_total=sum(cell.work for cell in pending),
    )
    report(progress, None)
    ran: dict[str, dict[str, Any]] = {}
    interrupted = False
    if pending:
        try:
            with _TerminateAsInterrupt():
                _run(plan, pending, folder, workers, ran, progress, report)
        except KeyboardInterrupt:
            interrupted = True
    results |= ran
    runs = _accounts(manifest.get("runs"))
    if pending:
        runs.append(_account(ran, time.monotonic() - started, workers))
    manifest |= {"runs": runs, **_totals(runs)}
    manifest["finished"] = not interrupted and len(results) == len(ids)
    folder.write_manifest(manifest)
    return Outcome(results, len(ran), interrupted, manifest)


def _run(
    plan: Plan,
    pending: list[Cell],
    folder: RunFolder,
    workers: int,
    ran: dict[str, dict[str, Any]],
    progress: Progress,
    report: Callable[[Progress, dict[str, Any] | None], None],
) -> None:
    machine = describe_machine()
    limits = plan.sweep.limits
    backbone = find_backbone(plan.sweep.backbone).folder
    queue = list(reversed(pending))
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
                    ran[result["id"]] = result
                    progress.running -= 1
                    progress.done += 1
                    progress.failed += result["status"] != "ok"
                    progress.work_done += next(c.work for c in pending if c.id == result["id"])
                    fill()
                    report(progress, result)
    finally:
        engine.stop()
        progress.running = 0


def outcomes(result: dict[str, Any]) -> set[str]:
    """The status of a cell and those of the lm-eval tasks that it ran."""
    entries = result.get("evaluations")
    listed = entries if isinstance(entries, list) else []
    return {str(e.get("status")) for e in [result, *listed] if isinstance(e, dict)}


def _account(ran: dict[str, dict[str, Any]], wall: float, workers: int) -> dict[str, Any]:
    """Wall time of this run and what of it was training, evaluating or probing."""
    phases = ("train", "eval", "probe")
    busy = sum(r["seconds"].get(name, 0.0) for r in ran.values() for name in phases)
    return {"cells": len(ran), "wall_s": wall, "busy_s": busy, "workers": workers}


def _accounts(runs: Any) -> list[dict[str, Any]]:
    """Earlier accounts, as far as a manifest that anyone may have edited has them."""
    keys = {"wall_s", "busy_s", "workers"}
    listed = runs if isinstance(runs, list) else []
    return [run for run in listed if isinstance(run, dict) and keys <= set(run)]


def _totals(runs: list[dict[str, Any]]) -> dict[str, Any]:
    room = sum(run["wall_s"] * run["workers"] for run in runs)
    busy = sum(run["busy_s"] for run in runs)
    return {
        "wall_s": sum(run["wall_s"] for run in runs),
        "overhead_share": 1 - busy / room if room else None,
        "workers": runs[-1]["workers"] if runs else None,
    }


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
