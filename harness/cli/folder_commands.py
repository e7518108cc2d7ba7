"""Commands for result folders: `report`, `publish` and `tuned`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import FolderPath
from harness.core.errors import BadInput, printable
from harness.core.folder import SWEEP
from harness.core.values import counted

if TYPE_CHECKING:
    from pandas import DataFrame

    from harness.core.folder import StoredRun
    from harness.core.predicted import PredictedRun


@click.command()
@click.argument("dirs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the report (default for one DIR: its report/).",
)
@click.option(
    "--all-figures",
    is_flag=True,
    help="Write every figure as PNG, SVG and PDF; without it, of over 16 figures the first 16 as "
    "PNG.",
)
def report(dirs: tuple[Path, ...], out: Path | None, all_figures: bool) -> None:
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
    page = write_report(folders, out or own[0], load_results(*folders), every=all_figures)
    click.echo(f"report: {printable(str(page))}")


@click.command()
@click.argument("directory", type=FolderPath(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--to",
    type=FolderPath(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write, for example published/mine.",
)
@click.option(
    "--partial",
    is_flag=True,
    help="Write what there is, and keep the results that are in --to already.",
)
@click.option(
    "--predict",
    metavar="DEVICE",
    help="Predict the costs of the cells for the device that they ran on, such as h200, and write "
    "them beside the results. For a machine that had no time for it.",
)
def publish(directory: Path, to: Path, partial: bool, predict: str | None) -> None:
    """Write the results of a finished run DIRECTORY in a compact form for a repository.

    All cells must come from one commit without changes, one number format and one machine. With
    --partial the run may be unfinished and its parts may come from several machines.
    """
    from harness.core.folder import read_run, write_packed
    from harness.core.folder.packed import check_one_origin
    from harness.core.folder.partial import joined

    stored = read_run(directory)
    stored = replace(stored, sweep=_moved(directory, to) or stored.sweep)
    if not stored.results:
        raise BadInput(f"{directory}: no results are here")
    if predict:
        stored = replace(stored, predicted=_predicted(stored, predict))
    if partial:
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
    click.echo(
        f"written: {printable(str(write_packed(stored, to)))} ({counted(len(ids), 'result')})"
    )
    if others := len({*stored.results} - {*ids}):
        click.echo(f"left out: {counted(others, 'result')} that the last sweep of the folder lacks")


def _predicted(stored: StoredRun, name: str) -> PredictedRun:
    """Predict the costs of the cells of a run for a device."""
    from harness.costs.bill import make_bill
    from harness.costs.devices import find_device
    from harness.planning.plan import make_plan
    from harness.planning.sweep import load_sweep

    device = find_device(name, "--predict")
    file = stored.path / SWEEP
    backbone = make_plan(load_sweep(file), file).backbone
    cells = [result.cell for result in stored.results.values()]
    return stored.predicted.updated(make_bill(cells, backbone, 1, device).run)


def _moved(folder: Path, to: Path) -> str:
    """The text of a sweep file with own files, for another folder; "" if it need not change."""
    from harness.planning.sweep import as_file, load_sweep
    from harness.planning.yaml_files import dump_yaml

    try:
        read = load_sweep(folder / SWEEP)
    except BadInput:  # of another version; its results can be read
        return ""
    return dump_yaml(as_file(read, to)) if read.data_entries else ""


@click.command()
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
        arm_at = f"{study.arm_name(arm)}  {entry.settings['length']} tokens"
        line = f"{arm['task']}  {arm_at}  lr {entry.lr:g}  of {tried}"
        click.echo(printable(line))
    for note in filter(None, [*chosen.edge_notes, chosen.head_note]):
        click.echo(printable(note))
    if to:
        study.write(chosen, to)
        click.echo(f"written: {printable(str(to))}")


def write_report(
    dirs: Sequence[Path], out: Path, frame: DataFrame, vector: bool = True, every: bool = False
) -> Path:
    """Write results.csv into the folders, and a report of them; return its page."""
    from reports import build_report, write_csv

    for folder in dirs:
        write_csv(folder, frame)
    return build_report(dirs, out, frame, vector, every)
