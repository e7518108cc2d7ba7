"""Commands for sweep files: `plan` and `run`."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.folder_commands import write_report
from harness.cli.options import SHARD, TASKS_DIR, FolderPath
from harness.core.errors import BadInput, printable
from harness.core.values import counted
from harness.execution.executors import DEFAULT, executor_names

if TYPE_CHECKING:
    from rich.console import Console

    from harness.core.folder import RunFolder
    from harness.core.result import CellResult
    from harness.execution.runner import Progress
    from harness.execution.sharing import SharedResults
    from harness.planning.plan import Plan

_SWEEP = click.argument("sweep", type=click.Path(path_type=Path))
_SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the sweep, for example train.examples=64.",
)
_NO_COST = click.option(
    "--no-cost",
    is_flag=True,
    envvar="BENCH_LONG_NO_COST",
    help="Do not predict memory and time (also: BENCH_LONG_NO_COST=1).",
)


@click.command()
@_SWEEP
@click.option(
    "--out",
    type=FolderPath(path_type=Path, file_okay=False),
    help="Result folder: show which cells have a result in it (default: runs/<name>).",
)
@_SET
@click.option(
    "--device",
    metavar="DEVICE|SIZE",
    help="Predict costs for another device, such as h100, or a size of memory, such as 24GiB.",
)
@SHARD
@_NO_COST
@TASKS_DIR
def plan(
    sweep: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    device: str | None,
    shard: str | None,
    no_cost: bool,
    tasks_dir: Path | None,
) -> None:
    """Check SWEEP, list its cells and predict what they cost. Writes nothing but caches."""
    from harness.cli.bill import show_bill
    from harness.cli.console import make_console
    from harness.cli.display import print_plan
    from harness.costs.devices import find_device
    from harness.execution.runner import default_folder
    from harness.execution.states import read_states, summary
    from harness.system.scratch import run_folder

    click.get_current_context().with_resource(run_folder())
    priced_for = find_device(device, "--device") if device else None
    planned = _plan(sweep, overrides, tasks_dir, shard)
    folder = out or default_folder(planned.sweep.name, shard)
    console = make_console()
    if folder.is_dir():
        found = read_states(folder, (cell.id for cell in planned.cells))
        print_plan(planned.cells, console, found)
        for line in summary(found, len(planned.cells), folder, planned.sweep.name):
            console.print(line, soft_wrap=True)
    else:
        if out:
            click.echo(f"{printable(str(out))}: does not exist yet; every cell is to run", err=True)
        print_plan(planned.cells, console)
    if not no_cost:
        show_bill(planned, console, priced_for)


@click.command()
@_SWEEP
@click.option("--out", type=FolderPath(path_type=Path), help="Result folder (default runs/<name>).")
@_SET
@click.option(
    "--executor",
    type=click.Choice(executor_names()),
    default=DEFAULT,
    show_default=True,
    help="Where cells run.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Cells at a time (default: one per core)."
)
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Start no cell after this time. Probes and short lengths run first.",
)
@click.option(
    "--retry",
    default="",
    metavar="STATUS,…",
    help="Run cells with these outcomes again: oom, diverged, timeout, error.",
)
@SHARD
@click.option(
    "--share",
    metavar="ADDRESS",
    help="Exchange result files with an fsspec address, such as s3://bucket/run: those there are "
    "not run again, and new ones are copied to it.",
)
@_NO_COST
@TASKS_DIR
def run(
    sweep: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    executor: str,
    workers: int | None,
    seconds: float | None,
    retry: str,
    shard: str | None,
    share: str | None,
    no_cost: bool,
    tasks_dir: Path | None,
) -> int:
    """Run the cells of SWEEP that have no result yet, then write results.csv and the report."""
    from harness.cli.bill import keep_predictions
    from harness.cli.console import coloured, make_console
    from harness.cli.display import RunDisplay, print_outcome
    from harness.cli.live_report import LiveReport
    from harness.core.folder import PAGE, REPORT, RunFolder
    from harness.execution.executor import Settings
    from harness.execution.executors import default_workers, make_executor
    from harness.execution.runner import default_folder, run_plan
    from harness.execution.sharing import SharedResults
    from harness.system.scratch import run_folder

    last_start = math.inf if seconds is None else time.monotonic() + seconds
    click.get_current_context().with_resource(run_folder())
    console = make_console()
    again = _statuses(retry)
    planned = _plan(sweep, overrides, tasks_dir, shard)
    folder = out or default_folder(planned.sweep.name, shard)
    limits = planned.sweep.limits
    place = make_executor(
        executor,
        Settings(
            slots=workers or default_workers(executor, planned.cells[0].device),
            cell_seconds=limits.cell_seconds,
            memory_bytes=None if limits.cell_gib is None else int(limits.cell_gib * 2**30),
        ),
    )
    shared = SharedResults(share) if share else None
    with RunFolder(folder, shared.give if shared else lambda _: None) as held:
        if shared:
            _exchange(shared, folder, console)
        if not console.is_terminal:  # a terminal shows what goes on
            console.print(f"preparing {counted(len(planned.cells), 'cell')}", highlight=False)
        if not no_cost:
            keep_predictions(planned, held, place.slots, console)
        live = LiveReport(_untrained(planned, folder), lambda: _live(folder))
        with RunDisplay(console) as display:

            def listen(progress: Progress, result: CellResult | None) -> None:
                display.update(progress, result)
                if result is not None and shard is None:
                    live.update(result)

            outcome = run_plan(planned, held, place, again, listen, last_start)
        if shared:
            _exchange(shared, folder, console)
        from reports import load_results, write_csv  # pandas takes seconds: not before the run

        if outcome.interrupted or (seconds is not None and outcome.left):
            write_csv(folder)
            why = "interrupted" if outcome.interrupted else "the time is used"
            kept = f"{len(outcome.states)} of {len(planned.cells)} cells have a result in"
            rest = f": {kept} {folder}; run the same command to continue"
            console.print(coloured((why, "yellow"), rest), soft_wrap=True)
            return 130 if outcome.interrupted else 1 if outcome.failed else 0
        page = folder / REPORT / PAGE
        frame = load_results(folder)
        if outcome.ran or not page.exists():
            if not console.is_terminal:
                console.print("writing the report")
            _cards(planned, held, console)
            if shard is None:
                write_report([folder], folder / REPORT, frame)
            else:
                write_csv(folder, frame)
    print_outcome(outcome, frame, console)
    if others := int((~frame["in_sweep"]).sum()):
        text = (
            f"{folder} also has {counted(others, 'result')} of other cells, which tables leave out"
        )
        console.print(coloured(text), soft_wrap=True)
    end = f"report: {page}"
    if shard is not None:
        end = f"shard {shard}: {folder}; `bench-long report FOLDER… --out DIR` joins the shards"
    console.print(coloured(end), soft_wrap=True)
    return 1 if outcome.failed else 0


def _plan(sweep: Path, overrides: Sequence[str], tasks_dir: Path | None, shard: str | None) -> Plan:
    from harness.cli.console import reading
    from harness.execution.shards import part_of, read_shard
    from harness.planning.plan import make_plan
    from harness.planning.sweep import load_sweep

    part = read_shard(shard) if shard else None
    read = load_sweep(sweep, overrides)
    with reading("the tasks"):
        planned = make_plan(read, sweep, tasks_dir)
    for line in planned.warnings:
        click.echo(f"bench-long: warning: {printable(line)}", err=True)
    return part_of(planned, part) if part else planned


def _exchange(shared: SharedResults, folder: Path, console: Console) -> None:
    from harness.cli.console import coloured

    shared.exchange(folder)
    if shared.lost:
        text = (
            f"{shared.name}: some results were not copied: {shared.lost}; run the same command to"
        )
        console.print(coloured((f"{text} try again", "yellow")), soft_wrap=True)


def _cards(planned: Plan, held: RunFolder, console: Console) -> None:
    from harness.cli.console import coloured
    from harness.planning.cards import write_cards

    with console.status("describing the tasks"):
        lost = write_cards(
            held, planned.tasks, planned.sweep.lengths, planned.backbone, planned.own_tasks
        )
    for line in lost:
        console.print(coloured((line, "yellow")), soft_wrap=True)


def _untrained(planned: Plan, folder: Path) -> set[str]:
    """Ids of the training cells without a result."""
    from harness.execution.states import read_states

    training = [cell.id for cell in planned.cells if cell.kind == "train"]
    return {*training} - {*read_states(folder, training)}


def _live(folder: Path) -> Path:
    """The report of a run that goes on."""
    from harness.core.folder import REPORT
    from reports import load_results

    return write_report([folder], folder / REPORT, load_results(folder), vector=False)


def _statuses(text: str) -> list[str]:
    from harness.core.errors import nearest
    from harness.core.result import FAILURES

    chosen = [word.strip() for word in text.split(",") if word.strip()]
    for word in chosen:
        if word not in FAILURES:
            raise BadInput(f"--retry: unknown status '{word}'.{nearest(word, FAILURES)}")
    return chosen
