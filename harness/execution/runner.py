"""Runs a plan on an executor: skips finished cells, writes each result, survives an interrupt."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.folder import Manifest, RunFolder, RunTime, read_manifest
from harness.core.predicted import PREDICTED, Predicted, read_predicted
from harness.core.result import OK, CellResult
from harness.execution.executor import Executor, Job
from harness.execution.jobs import in_jobs, is_done, short_first
from harness.execution.states import State, read_states, state_of
from harness.kept.rules import Best, Keeping
from harness.planning.plan import Plan
from harness.planning.sweep import Sweep, as_file, same_cells
from harness.planning.yaml_files import dump_yaml


@dataclass
class Progress:
    """Numbers of cells, and the estimated cost of the cells of this run."""

    total: int
    done: int = 0
    failed: int = 0
    running: int = 0
    cost_total: float = 0.0
    cost_done: float = 0.0


Listener = Callable[[Progress, CellResult | None], None]
"""Called at the start, and after each cell with its result."""


@dataclass(frozen=True)
class Outcome:
    """The end of a run.

    Attributes:
        states: of all cells of the sweep that have a result, by id.
        ran: cells of this run.
        left: cells without a result.
    """

    states: dict[str, State]
    ran: int
    interrupted: bool
    manifest: Manifest
    left: int

    @property
    def failed(self) -> dict[str, str]:
        """The status of each cell whose last result is a failure."""
        return {i: state.status for i, state in self.states.items() if state.status != OK}


def run_plan(
    plan: Plan,
    folder: RunFolder,
    executor: Executor,
    retry: Collection[str] = (),
    listen: Listener = lambda *_: None,
    last_start: float = math.inf,
) -> Outcome:
    """Run the cells of a plan that have no result yet, or one whose status is in `retry`.

    A timing group runs as a whole if one of its cells has to run. When
    `time.monotonic()` reaches `last_start`, no further cell starts; those that run are completed.

    `folder` must be held. The executor is stopped at the end. Ctrl-C and SIGTERM end the run;
    finished cells keep their results.
    """
    started = time.monotonic()
    cells = {cell.id: cell for cell in plan.cells}
    states = read_states(folder.path, cells)
    ordered = cells if last_start == math.inf else short_first(cells)
    jobs = [ids for ids in in_jobs(ordered) if not is_done(ids, states, {*retry})]
    pending = [i for ids in jobs for i in ids]
    failed = sum(state.status != OK for state in states.values())
    progress = Progress(
        total=len(cells),
        done=len(cells) - len(pending),
        failed=failed - sum(i in states and states[i].status != OK for i in pending),
        running=min(executor.slots, len(pending)),  # being started
        cost_total=sum(cells[i].estimated_cost for i in pending),
    )
    folder.write_sweep(dump_yaml(as_file(plan.sweep, folder.path)), _same)
    keeping = keeping_of(plan.sweep, folder.path)
    best = Best(keeping)
    for cell_id, state in states.items():
        _forget(keeping, cell_id, state.status)
    update = {"name": plan.sweep.name, "ids": [*cells], "finished": False}
    manifest = read_manifest(folder.path).model_copy(update=update)
    folder.write_manifest(manifest)
    listen(progress, None)
    this_run = RunTime(cells=0, wall_s=0, busy_s=0, workers=executor.slots)
    interrupted = False
    if pending:
        try:
            with _terminate_as_interrupt(), _paused_together(executor):
                try:
                    for result in _results(
                        plan, cells, jobs, folder, keeping, executor, progress, last_start
                    ):
                        folder.write_result(result)
                        best.add(result.id)
                        _forget(keeping, result.id, result.status)
                        states[result.id] = state_of(result)
                        this_run.cells += 1
                        # A timing group holds all slots.
                        held = executor.slots if result.kind == "probe" else 1
                        this_run.busy_s += held * _busy_seconds(result)
                        progress.done += 1
                        progress.failed += not result.ok
                        progress.cost_done += cells[result.id].estimated_cost
                        listen(progress, result)
                finally:
                    executor.stop()
        except KeyboardInterrupt:
            interrupted = True
        this_run.wall_s = time.monotonic() - started
        manifest.runs.append(this_run)
    left = len(cells) - len(states)
    manifest.finished = not interrupted and not left
    folder.write_manifest(manifest)
    return Outcome(states, this_run.cells, interrupted, manifest, left)


def _results(
    plan: Plan,
    cells: dict[str, Cell],
    jobs: list[list[str]],
    folder: RunFolder,
    keeping: Keeping,
    executor: Executor,
    progress: Progress,
    last_start: float,
) -> Iterator[CellResult]:
    """Keep the executor's slots filled until `last_start`, and yield the results as cells end.

    A timing group runs alone: it starts when no cell runs and all results are written, and nothing
    starts before it ends.
    """
    logs = folder.logs.resolve()
    queue = jobs[::-1]
    group_runs = False
    predicted = read_predicted(folder.path / PREDICTED).cells

    def fill(groups: bool) -> None:
        nonlocal group_runs
        if time.monotonic() >= last_start:
            queue.clear()
        while queue and progress.running < executor.slots and not group_runs:
            members = tuple(cells[i] for i in queue[-1])
            memory = _memory(predicted.get(i) for i in queue[-1])
            job = Job(members, plan.backbone, logs, plan.own_tasks, keeping=keeping, memory=memory)
            if job.timed:
                if progress.running or not groups:
                    return
                group_runs = True
            queue.pop()
            executor.submit(job)
            progress.running += len(members)

    progress.running = 0
    fill(groups=True)
    while progress.running:
        for result in executor.finished(timeout=0.5):
            progress.running -= 1
            fill(groups=False)
            yield result
        group_runs = group_runs and progress.running > 0
        fill(groups=True)


def keeping_of(sweep: Sweep, folder: Path) -> Keeping:
    """Return what a run of a sweep keeps in its folder beside the results."""
    seconds = sweep.limits.checkpoint_seconds
    return Keeping(folder.resolve(), sweep.keep, sweep.keep_full, seconds)


def _forget(keeping: Keeping, cell_id: str, status: str) -> None:
    """Remove the checkpoint of a cell that `--retry` would not continue."""
    if status in (OK, "diverged"):
        keeping.forget(cell_id)


def _same(old: str, new: str) -> bool:
    try:
        return same_cells(old, new)
    except BadInput:  # someone has edited the file
        return False


def _memory(cells: Iterable[Predicted | None]) -> int | None:
    """Bytes of the processes of a job together; None if one is not predicted."""
    sizes = [cell.resident_bytes if cell else None for cell in cells]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _busy_seconds(result: CellResult) -> float:
    seconds = result.seconds
    return (seconds.train or 0.0) + (seconds.eval or 0.0) + (seconds.probe or 0.0)


@contextmanager
def _paused_together(executor: Executor) -> Iterator[None]:
    """Let Ctrl-Z pause the cells too: they may be in other process groups or on other machines."""

    def stop(*_: object) -> None:
        executor.pause()
        os.kill(os.getpid(), signal.SIGSTOP)
        executor.resume()  # after `fg` or `bg`

    before = signal.getsignal(signal.SIGTSTP)
    if before == signal.SIG_DFL:
        signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        if before == signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, before)


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def default_folder(name: str, shard: str | None = None) -> Path:
    """Return where the results of a sweep or of a shard go unless `--out` says otherwise."""
    return Path("runs") / (name if shard is None else f"{name}-{shard.replace('/', '-of-')}")
