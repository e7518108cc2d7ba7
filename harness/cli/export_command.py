"""`bench-long export`: results for papers, for other programs, and for PEFT's dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.core.errors import BadInput, printable

if TYPE_CHECKING:
    from pandas import DataFrame

_EXAMPLES = {"parquet": "cells.parquet", "peft": "FOLDER"}


@click.command()
@click.argument("dirs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--latex", "form", flag_value="latex", help="Tables in LaTeX.")
@click.option("--markdown", "form", flag_value="markdown", help="Tables in Markdown.")
@click.option("--parquet", "form", flag_value="parquet", help="All cells with all columns.")
@click.option(
    "--peft",
    "form",
    flag_value="peft",
    help="A JSON file for each trained cell, as PEFT's method comparison has them; --to is a "
    "folder.",
)
@click.option(
    "--table",
    type=click.Choice(["arms", "differences", "cells"]),
    help="LaTeX and Markdown: a row for each arm (default), difference between arms, or cell.",
)
@click.option("--columns", metavar="NAME,…", help="Columns of --table cells, of results.csv.")
@click.option("--to", type=click.Path(path_type=Path), help="File or folder to write.")
def export(
    dirs: tuple[Path, ...],
    form: str | None,
    table: str | None,
    columns: str | None,
    to: Path | None,
) -> int:
    """Write the results in DIRS in another format. Several folders are joined as in a report.

    Without --to, LaTeX and Markdown are printed. `bench-long tasks export` is for tasks.
    """
    from harness.core.folder import check_run_folder, write_atomically
    from reports.exports import tables
    from reports.frame import load_results
    from reports.page import Report

    if form is None:
        raise BadInput("export: give a format: --latex, --markdown, --parquet or --peft")
    if form in ("parquet", "peft") and (table or columns):
        raise BadInput(f"export: --table and --columns are of --latex and --markdown, not --{form}")
    if columns and table != "cells":
        raise BadInput("export: --columns is of --table cells")
    if form in ("parquet", "peft") and to is None:
        raise BadInput(f"export --{form}: say where to write: --to {_EXAMPLES[form]}")
    for folder in dirs:
        check_run_folder(folder)
    frame = load_results(*dirs)
    if form == "peft":
        assert to is not None
        return _write_peft(frame, to)
    content: str | bytes
    if form == "parquet":
        content = tables.as_parquet(frame)
    else:
        report = Report(frame)
        names = [name.strip() for name in (columns or "").split(",") if name.strip()]
        found = tables.cells(report, names) if names else tables.TABLES[table or "arms"](report)
        if not found:
            raise BadInput(f"export: there is no table of {table or 'arms'} in these results")
        content = {"latex": tables.as_latex, "markdown": tables.as_markdown}[form](found)
    if to is None:
        assert isinstance(content, str)
        click.echo(content, nl=False)
        return 0
    write_atomically(to, content)
    click.echo(f"written: {printable(str(to))}")
    return 0


def _write_peft(frame: DataFrame, to: Path) -> int:
    from harness.core.folder import write_atomically
    from reports.exports.peft_layout import peft_files

    found = peft_files(frame)
    if not found.files:
        raise BadInput("export --peft: there is no trained cell in these results")
    to.mkdir(parents=True, exist_ok=True)
    for name, content in found.files.items():
        write_atomically(to / name, content)
    click.echo(f"written: {len(found.files)} files in {printable(str(to))}")
    for why, count in found.left_out.items():
        click.echo(f"left out: {count} cells ({why})")
    return 0
