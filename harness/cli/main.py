"""The commands. Exit 0 done, 1 some cells failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import errno
import io
import math
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import click

    from harness.cli.compare_command import compare
    from harness.cli.export_command import export
    from harness.cli.fit_command import fit
    from harness.cli.options import SHARD, TASKS_DIR
    from harness.cli.slurm_command import slurm
    from harness.cli.tasks_command import tasks
    from harness.cli.verify_command import verify
    from harness.cli.watch_command import watch
    from harness.core.errors import BadInput, printable
    from harness.execution.executors import DEFAULT, executor_names
except KeyboardInterrupt:  # Ctrl-C while this is imported
    raise SystemExit(130) from None
except ModuleNotFoundError as missing:  # ssmlora may be installed alone
    print(
        f"bench-long: the package {missing.name} is not installed: pip install -e '.[bench]'",
        file=sys.stderr,
    )
    raise SystemExit(2) from None

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console

    from harness.core.folder import RunFolder
    from harness.core.result import CellResult
    from harness.execution.runner import Progress
    from harness.planning.plan import Plan


class _Folder(click.Path):
    """The path of a folder. An empty one (an unset variable) would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises:
            click.BadParameter: it is empty.
        """
        if value == "":
            self.fail("the path is empty: name a folder", param, ctx)
        return super().convert(value, param, ctx)


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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bench-long")
def cli() -> None:
    """Sweep sequence length and insertion density for full fine-tuning, LoRA and SSMLoRA."""


@cli.command()
@_SWEEP
@click.option(
    "--out",
    type=_Folder(path_type=Path, file_okay=False),
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


@cli.command()
@_SWEEP
@click.option("--out", type=_Folder(path_type=Path), help="Result folder (default runs/<name>).")
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
    with RunFolder(folder) as held:
        if not no_cost:
            keep_predictions(planned, held, place.slots, console)
        live = LiveReport(_untrained(planned, folder), lambda: _live(folder))
        with RunDisplay(console) as display:

            def listen(progress: Progress, result: CellResult | None) -> None:
                display.update(progress, result)
                if result is not None and shard is None:
                    live.update(result)

            outcome = run_plan(planned, held, place, again, listen, last_start)
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
            _cards(planned, held, console)
            if shard is None:
                _report([folder], folder / REPORT, frame)
            else:
                write_csv(folder, frame)
    print_outcome(outcome, frame, console)
    end = f"report: {page}"
    if shard is not None:
        end = f"shard {shard}: {folder}; `bench-long report FOLDER… --out DIR` joins the shards"
    console.print(coloured(end), soft_wrap=True)
    return 1 if outcome.failed else 0


@cli.command()
@click.argument("dirs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the report (default for one DIR: its report/).",
)
def report(dirs: tuple[Path, ...], out: Path | None) -> None:
    """Write results.csv and the report of one or more result folders DIRS.

    Several folders need --out; their results are joined where data, backbone and protocol agree.
    """
    from harness.core.folder import check_run_folder
    from reports import load_results
    from reports.frame import unique_folders

    for folder in dirs:
        check_run_folder(folder)
    folders = unique_folders(dirs)
    own = [folder / "report" for folder in folders]
    if len(folders) > 1 and out is None:
        raise BadInput(
            f"report: {len(folders)} folders have no common place for a report ({own[0]} is that "
            "of the first alone): add --out DIR"
        )
    if len(folders) > 1 and out and out.resolve() in [place.resolve() for place in own]:
        raise BadInput(f"--out {out}: is the report of one of these folders: give another folder")
    click.echo(f"report: {printable(str(_report(folders, out or own[0], load_results(*folders))))}")


@cli.command()
@click.argument("directory", type=_Folder(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--to",
    type=_Folder(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write, for example published/mine.",
)
@click.option(
    "--partial",
    is_flag=True,
    help="Write what there is, and keep the results that are in --to already.",
)
def publish(directory: Path, to: Path, partial: bool) -> None:
    """Write the results of a finished run DIRECTORY in a compact form for a repository.

    All cells must come from one commit without changes, one number format and one machine. With
    --partial the run may be unfinished and its parts may come from several machines.
    """
    from harness.core.folder import read_run, write_packed
    from harness.core.packed import check_one_origin
    from harness.core.partial import joined

    stored = read_run(directory)
    if partial:
        if not stored.results:
            raise BadInput(f"{directory}: no results are here")
        stored = joined(stored, read_run(to))
        click.echo(f"written: {printable(str(write_packed(stored, to)))}")
        return
    ids = stored.manifest.ids or stored.results
    check_one_origin([stored.results[i] for i in ids if i in stored.results], str(directory))
    missing = sum(i not in stored.results for i in ids)
    if missing:
        raise BadInput(
            f"{directory}: {missing} cells of its sweep have no result: run it to its end"
        )
    click.echo(f"written: {printable(str(write_packed(stored, to)))}")


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--to", type=click.Path(path_type=Path), help="File to write (default: print the choice only)."
)
def tuned(directory: Path, to: Path | None) -> None:
    """Choose learning rates from the finished study in DIRECTORY, on its validation split."""
    from harness.core.folder import read_run
    from harness.planning import tuned as study

    results = read_run(directory).results
    if not results:
        raise BadInput(f"{directory}: no results are here")
    chosen = study.choose(list(results.values()))
    for entry in chosen.entries:
        arm, tried = entry.arm, len(entry.tries)
        arm_at = f"{arm['method']} {arm['density'] or ''}  {entry.settings['length']} tokens"
        line = f"{arm['task']}  {arm_at}  lr {entry.lr:g}  of {tried}"
        click.echo(printable(line))
    if chosen.head_note:
        click.echo(printable(chosen.head_note))
    if to:
        study.write(chosen, to)
        click.echo(f"written: {printable(str(to))}")


cli.add_command(compare)
cli.add_command(export)
cli.add_command(fit)
cli.add_command(slurm)
cli.add_command(tasks)
cli.add_command(verify)
cli.add_command(watch)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Errors are printed in one line each."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a terminal shows `?` for a character that it lacks
    try:
        code = cli.main(args=arguments, prog_name="bench-long", standalone_mode=False)
        code = code if isinstance(code, int) else 0
        if code == 130:  # another Ctrl-C ends the process silently
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        return code
    except (BadInput, click.ClickException) as error:
        lines = error.args if isinstance(error, BadInput) else [error.format_message()]
        for line in lines:
            click.echo(f"bench-long: {printable(line)}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        click.echo("bench-long: interrupted", err=True)
        return 130
    except OSError as error:  # a full disk, a folder without write permission
        place = f"{error.filename}: " if error.filename else ""
        hint = "" if error.filename else _full(error)
        click.echo(f"bench-long: {printable(place)}{error.strerror or error}{hint}", err=True)
        return 2


def _full(error: OSError) -> str:
    """Name the folders that may be full, for an error that names no file."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    return (
        f": space is needed for what is printed, for temporary files (in {tempfile.gettempdir()}; "
        f"another folder: $TMPDIR) and for the cache ($BENCH_LONG_CACHE)"
    )


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

    return _report([folder], folder / REPORT, load_results(folder), vector=False)


def _report(dirs: Sequence[Path], out: Path, frame: DataFrame, vector: bool = True) -> Path:
    from reports import build_report, write_csv

    for folder in dirs:
        write_csv(folder, frame)
    return build_report(dirs, out, frame, vector)


def _statuses(text: str) -> list[str]:
    from harness.core.errors import nearest
    from harness.core.result import FAILURES

    chosen = [word.strip() for word in text.split(",") if word.strip()]
    for word in chosen:
        if word not in FAILURES:
            raise BadInput(f"--retry: unknown status '{word}'.{nearest(word, FAILURES)}")
    return chosen
