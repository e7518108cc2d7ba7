"""What the terminal shows: a bar during a run, a line per finished cell, a table at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from harness.cli.console import coloured
from harness.core.cell import NO_CURRICULUM, Cell
from harness.core.folder import Manifest
from harness.core.result import CellResult
from harness.core.values import counted
from harness.execution.runner import Outcome, Progress
from harness.execution.states import retry_statuses

if TYPE_CHECKING:
    from pandas import DataFrame


class _Times(ProgressColumn):
    """The time since the beginning of a run, and the time left by the costs that are done."""

    def __init__(self, begun: float) -> None:
        super().__init__()
        self._begun = begun

    def render(self, task: Task) -> Text:
        """Count down between two results."""
        now = time.time()
        left = seconds_left(task.total, task.completed, task.fields.get("at", now) - self._begun)
        text = _clock(now - self._begun)
        if left is not None:
            text += f", {_clock(left - (now - task.fields.get('at', now)))} left"
        return Text(text)


def seconds_left(total: float | None, done: float, elapsed: float) -> float | None:
    """The time for the rest at the speed so far; None as long as nothing is done."""
    return elapsed * (total - done) / done if total and done > 0 else None


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=max(0, round(seconds))))


class RunDisplay:
    """Progress of a run. Without a terminal, only the lines are printed.

    Args:
        console: where it is shown.
        since: when the run began, in seconds since 1970; None: now.
    """

    def __init__(self, console: Console, since: float | None = None) -> None:
        self._console = console
        self._begun = time.time() if since is None else since
        self._cost_done = 0.0
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            _Times(self._begun),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> RunDisplay:
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Show the numbers of cells."""
        counts = f"{progress.done}/{progress.total} cells, {progress.running} running"
        counts += f", {progress.failed} failed"
        if progress.cost_done != self._cost_done:  # the time left is estimated at a result
            self._cost_done = progress.cost_done
            self._bar.update(self._task, at=time.time())
        self._bar.update(
            self._task,
            description=counts,
            total=progress.cost_total or None,
            completed=progress.cost_done,
        )

    def update(self, progress: Progress, result: CellResult | None) -> None:
        """Show the numbers of cells; with a result, also its line."""
        self.show(progress)
        if result is not None:
            place = (f"{progress.done:>3}/{progress.total} ", "dim")
            self._console.print(coloured(place, *_line(result)), soft_wrap=True)
        elif progress.done < progress.total:
            left = progress.total - progress.done
            self._console.print(f"{counted(left, 'cell')} to run, {progress.done} done before")
        else:
            self._console.print(f"all {progress.total} cells were done before: nothing to run")


def print_plan(
    cells: list[Cell], console: Console, states: Mapping[str, object] | None = None
) -> None:
    """List the cells of a plan; with `states`, by id, also which of them have a result."""
    table = Table(box=None, pad_edge=False)
    for name in ("id", "kind", "cell", "lr", "lr from", *(["state"] if states is not None else [])):
        table.add_column(name)
    for cell in cells:
        rate = cell.lr is not None and cell.kind != "probe"
        row = [cell.id, cell.kind, cell.title]
        row += [f"{cell.lr:g}", cell.lr_source or ""] if rate else ["", ""]
        if states is not None:
            row.append(str(states.get(cell.id, "to run")))
        table.add_row(*row)
    console.print(table)
    kinds = [sum(c.kind == kind for c in cells) for kind in ("train", "probe")]
    console.print(f"{len(cells)} cells: {kinds[0]} to train, {kinds[1]} to probe")
    curricula: dict[str, dict[str, None]] = {}
    for cell in cells:
        if cell.curriculum != NO_CURRICULUM:
            curricula.setdefault(cell.curriculum, {})[str(cell.task)] = None
    for name, tasks in curricula.items():
        console.print(f"curriculum {name}: {', '.join(tasks)}", soft_wrap=True)
    if untuned := dict.fromkeys(
        f"{c.arm} on {c.task}" for c in cells if c.lr_source == "default" and c.kind == "train"
    ):
        arms = ", ".join([*untuned][:8]) + (" …" if len(untuned) > 8 else "")
        console.print(f"default learning rates, not tuned: {arms}", soft_wrap=True)


def print_outcome(outcome: Outcome, frame: DataFrame, console: Console) -> None:
    """Print a small table per task, the report's answers, the overhead and the failed cells."""
    from reports import answers, summary_table

    for caption, rows in summary_table(frame):
        table = Table(title=Text(caption), title_justify="left", pad_edge=False)
        for heading in rows[0]:
            table.add_column(heading, justify="left" if heading == "Arm" else "right")
        for row in rows:
            table.add_row(*row.values())
        console.print(table)
    for text in answers(frame):
        console.print(Text(text))
    runs = outcome.manifest.runs
    if outcome.ran and runs:
        last = Manifest(runs=runs[-1:])
        text = (
            f"cells: {last.wall_s:.0f} s on {counted(last.workers or 1, 'worker')}; "
            f"{last.overhead_share or 0.0:.1%} of it was not training, evaluating or probing"
        )
        more = f" (all {len(runs)} runs: {outcome.manifest.wall_s:.0f} s)" if len(runs) > 1 else ""
        console.print(text + more, highlight=False)
    if outcome.failed:
        names = ", ".join(f"{name} ({status})" for name, status in outcome.failed.items())
        head = (f"{len(outcome.failed)} failed:", "red")
        console.print(coloured(head, f" {names}"), soft_wrap=True)
        console.print(f"to run them again, add: --retry {retry_statuses(outcome.states)}")


def _line(result: CellResult) -> list[str | tuple[str, str]]:
    cell, scores, cost = result.cell, result.scores, result.cost
    parts = [cell.title]
    if cell.kind == "train" and cell.lr is not None:
        parts.append(f"lr {cell.lr:g}")
    if not result.ok:
        message = result.error.message if result.error else ""
        return [(result.status, "red"), f" {' · '.join(parts)}: {message}"]
    if scores and scores.score is not None:
        parts.append(f"{scores.metric} {scores.score:.3f}")
    elif scores and scores.validation_score is not None:
        parts.append(f"validation {scores.validation_score:.3f}")
    if cost and cost.train_tokens_per_s:
        parts.append(f"{cost.train_tokens_per_s:.0f} tokens/s")
    if cost and (peak := cost.train_live_peak_bytes or cost.train_peak_bytes):
        parts.append(f"{peak / 2**20:.0f} MiB")
    parts.append(f"{result.seconds.wall or 0:.0f} s")
    return [("ok", "green"), " " + " · ".join(parts)]
