"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

TASKS_DIR = click.option(
    "--tasks-dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder with task plug-ins of your own.",
)

SHARD = click.option(
    "--shard",
    metavar="N/COUNT",
    help="Only this part of the sweep, for one of several machines. Its default folder is "
    "runs/<name>-N-of-COUNT.",
)
