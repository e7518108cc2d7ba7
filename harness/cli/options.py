"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def tasks_dir_option(exists: bool = True) -> Callable[[_Command], _Command]:
    """The option --tasks-dir; without `exists` the folder may be missing."""
    return click.option(
        "--tasks-dir",
        type=click.Path(path_type=Path, file_okay=False, exists=exists),
        help="A folder with task plug-ins of your own.",
    )


TASKS_DIR = tasks_dir_option()

SHARD = click.option(
    "--shard",
    metavar="N/COUNT",
    help="Only this part of the sweep, for one of several machines. Its default folder is "
    "runs/<name>-N-of-COUNT.",
)


class FolderPath(click.Path):
    """The path of a folder. An empty one (an unset variable) would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises:
            click.BadParameter: it is empty.
        """
        if value == "":
            self.fail("the path is empty: name a folder", param, ctx)
        return super().convert(value, param, ctx)
