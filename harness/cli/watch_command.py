"""`bench-long watch`: follow a run that goes on in another process or on another machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core.errors import BadInput, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.core.result import CellResult
    from harness.execution.followed import FollowedRun

_WAIT_SECONDS = 120.0
"""A run that has just been started lists its cells within this time."""

_QUIET_SECONDS = 600.0
"""A run without a new result for this time is said to be quiet, once."""


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the report (default: the run's report/, which a run on this machine writes).",
)
def watch(directory: Path, every: float, out: Path | None) -> int:
    """Follow the run in DIRECTORY: its cells, the time left, and its report.

    Ends with the run: exit 0 if all cells are done, 1 if some failed or were not run. Ctrl-C leaves
    the run as it is.
    """
    from harness.cli.console import make_console
    from harness.cli.display import RunDisplay
    from harness.cli.live_report import LiveReport
    from harness.core.folder import check_run_folder
    from harness.execution.followed import FollowedRun

    _wait_for(directory)
    check_run_folder(directory)
    run = FollowedRun(directory)
    news = run.look()
    if not run.ids:
        raise BadInput(f"{directory}: has no manifest that lists the cells of a sweep")
    live = LiveReport(set(), lambda: _write(directory, out), first=0.0)
    console = make_console()
    quiet = False
    try:
        with RunDisplay(console, since=run.begun) as display:
            display.update(news.progress, None)
            results: Sequence[CellResult] = news.results
            while not news.ended:
                if results and (out or _elsewhere(results)):
                    live.write_if_due()
                time.sleep(every)
                news = run.look()
                results = news.results
                display.show(news.progress)
                for result in results:
                    display.update(news.progress, result)
                quiet = _say_if_quiet(run, quiet)
    except KeyboardInterrupt:
        click.echo(f"left {printable(str(directory))}: the run goes on", err=True)
        return 130
    progress = news.progress
    left = progress.total - progress.done
    console.print(
        f"the run has ended: {progress.done - progress.failed} done, {progress.failed} failed, "
        f"{left} not run"
    )
    if out or not _page(directory).exists() or _elsewhere(news.results):
        click.echo(f"report: {printable(str(_write(directory, out)))}")
    return int(bool(progress.failed or left))


def _wait_for(directory: Path) -> None:
    """Give a run that has just been started the time to list its cells."""
    last = time.monotonic() + _WAIT_SECONDS
    if _starts(directory):
        name = printable(str(directory))
        click.echo(f"waiting for {name}: no run has listed its cells there yet", err=True)
    while _starts(directory) and time.monotonic() < last:
        time.sleep(0.2)


def _starts(directory: Path) -> bool:
    """Whether a run may be about to begin in a folder."""
    from harness.core.folder import CELLS, MANIFEST

    cells = directory / CELLS
    if not directory.exists():
        return True
    return cells.is_dir() and not any(cells.iterdir()) and not (directory / MANIFEST).exists()


def _say_if_quiet(run: FollowedRun, said: bool) -> bool:
    """Say once that nothing comes any more: a run that was killed leaves no other sign."""
    minutes = (time.time() - max(run.last_result, run.begun)) / 60
    if minutes * 60 < _QUIET_SECONDS:
        return False
    if not said:
        click.echo(
            f"no new result for {minutes:.0f} min: the run works on a long cell, or has died"
        )
    return True


def _elsewhere(results: Sequence[CellResult]) -> bool:
    """Whether results are from another machine. A run on this one writes the report itself."""
    from harness.system.machine import describe_machine

    here = describe_machine()["host"]
    return any(result.environment.host != here for result in results)


def _page(directory: Path) -> Path:
    from harness.core.folder import PAGE, REPORT

    return directory / REPORT / PAGE


def _write(directory: Path, out: Path | None) -> Path:
    from harness.core.folder import REPORT
    from reports import build_report, load_results

    return build_report([directory], out or directory / REPORT, load_results(directory))
