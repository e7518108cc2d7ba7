"""`bench-long slurm`: writes a job array for a cluster."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from harness.cli.options import TASKS_DIR
from harness.core.errors import BadInput, printable


@click.command()
@click.argument("sweep", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that all nodes see, for the script and the results (default runs/<name>-slurm).",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the sweep."
)
@click.option(
    "--shards",
    type=click.IntRange(min=1),
    help="Tasks of the array (default: one for each training cell, and one for all probes).",
)
@click.option(
    "--at-once", type=click.IntRange(min=1), help="Tasks that may run at a time (default: all)."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Cells at a time in each task; each has one CPU.",
)
@TASKS_DIR
def slurm(
    sweep: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    shards: int | None,
    at_once: int | None,
    workers: int,
    tasks_dir: Path | None,
) -> None:
    """Check SWEEP and write a Slurm job array that runs its cells. Submits nothing."""
    from harness.execution import slurm as jobs
    from harness.execution.runner import default_folder
    from harness.planning.plan import make_plan
    from harness.planning.sweep import load_sweep

    plan = make_plan(load_sweep(sweep, overrides), sweep, tasks_dir)
    for line in plan.warnings:
        click.echo(f"bench-long: warning: {printable(line)}", err=True)
    most = jobs.default_shards(plan)
    if shards is not None and shards > most:
        raise BadInput(f"--shards {shards}: the sweep has {most} parts that can run on their own")
    folder = out or default_folder(f"{plan.sweep.name}-slurm")
    options = jobs.set_words(overrides)
    if tasks_dir is not None:
        options += ("--tasks-dir", str(tasks_dir.resolve()))
    array = jobs.Array(
        command=_command(),
        place=Path.cwd(),
        sweep=sweep.resolve(),
        folder=folder.resolve(),
        options=options,
        workers=workers,
        shards=shards or most,
        at_once=at_once,
    )
    path = jobs.prepare(array, jobs.script(plan, array))
    shown = shlex.quote(printable(str(path)))
    click.echo(f"written: {printable(str(path))} ({array.shards} tasks)")
    timed = jobs.timed_task(plan, array.shards)
    if timed is None or array.shards == 1:
        click.echo(f"submit: sbatch {shown}")
    else:
        click.echo(f"submit: sbatch --array={jobs.others(array.shards, timed)} {shown}")
        click.echo(f"submit: sbatch --array={timed} --exclusive {shown}   # the timed probes")
    click.echo(f"then: {printable(jobs.merge(array))}")


def _command() -> tuple[str, ...]:
    """The words that start this program on a node with the same files."""
    own = Path(sys.executable).with_name("bench-long")
    return (str(own),) if own.is_file() else (sys.executable, "-m", "harness")
