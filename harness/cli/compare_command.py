"""`bench-long compare`: what changed between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core.errors import BadInput, printable

if TYPE_CHECKING:
    from rich.console import Console

    from reports.blocks import Table
    from reports.changes.changes import Changes

REGRESSION = "regression"
_MOST_ROWS = 40
"""Of longer tables the terminal shows the differences only."""


@click.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--fail-on",
    type=click.Choice([REGRESSION]),
    help="Exit 1 if a score is shown to be worse, a cost to be higher, or a cell fails in B only.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write everything into a file: .html or .md.",
)
def compare(a: str, b: str, fail_on: str | None, to: Path | None) -> int:
    """Show what changed from the results A to the results B: settings, scores, costs, cells.

    A and B are result folders or published folders. FOLDER@NAME=VALUE takes the cells of one
    commit, host, cpu, gpu, platform, python, torch, transformers, peft or protocol.
    """
    from harness.cli.console import make_console
    from harness.core.folder import write_atomically
    from reports.changes.changes import changes_between
    from reports.changes.page import as_html, as_markdown

    writers = {".html": as_html, ".md": as_markdown}
    if to is not None and to.suffix not in writers:
        raise BadInput(f"--to {to}: the name must end in {' or '.join(writers)}")
    changes = changes_between(a, b)
    if fail_on and not changes.pairs:
        raise BadInput(f"{a} and {b} have no cell in common: --fail-on {fail_on} has no meaning")
    _show(changes, make_console())
    if to is not None:
        write_atomically(to, writers[to.suffix](changes))
        click.echo(f"written: {printable(str(to))}")
    return int(fail_on == REGRESSION and changes.regressions > 0)


def _show(changes: Changes, console: Console) -> None:
    from rich.text import Text as Line

    from reports.blocks import Table, Text
    from reports.changes.page import sections

    for section in sections(changes, _MOST_ROWS):
        for block in section.blocks:
            if isinstance(block, Table):
                _show_table(block, console)
            elif isinstance(block, Text):
                console.print(Line(printable(block.text)), soft_wrap=True)
            console.print()


def _show_table(block: Table, console: Console) -> None:
    from rich.table import Table as Shown
    from rich.text import Text as Line

    from reports.blocks import Failed

    shown = Shown(title=Line(block.caption), title_justify="left", pad_edge=False)
    for head in block.head:
        shown.add_column(head, justify="right" if head in block.numeric else "left")
    for row in block.rows:
        style = "red" if any(isinstance(entry, Failed) for entry in row) else ""
        texts = [entry if isinstance(entry, str) else entry.text for entry in row]
        shown.add_row(*(Line(printable(text)) for text in texts), style=style)
    console.print(shown)
