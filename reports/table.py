"""Result files as tables: a pandas DataFrame, results.csv, short ones for console and README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harness.core.columns import CORE_COLUMNS, EXTRA_COLUMNS
from reports.files import Result, load_run, write_atomically
from reports.glance import as_markdown, main_tables

COLUMNS = tuple(column.name for column in CORE_COLUMNS)
"""What scripts may rely on, in this order; further columns follow."""

_ADDED: dict[str, type] = {"attempt": int, "in_sweep": bool, "run": str}
_DTYPES: dict[type, str] = {str: "string", int: "Int64", float: "float64", bool: "boolean"}


def read_results(run_dir: Path) -> pd.DataFrame:
    """One row a cell, `COLUMNS` first, in a stable order. Missing values are NA.

    Of a cell that was run again the last attempt is the row. Files that could not be read are in
    `.attrs["unreadable"]` as (file name, reason).
    """
    run = load_run(run_dir)
    frame = as_frame(run.results)
    frame.attrs["unreadable"] = run.unreadable
    return frame


def as_frame(results: Sequence[Result]) -> pd.DataFrame:
    """Results as rows, with every column present and typed even where there are no rows."""
    kinds = {column.name: column.kind for column in CORE_COLUMNS + EXTRA_COLUMNS} | _ADDED
    columns = {
        name: pd.Series([result[name] for result in results], dtype=_DTYPES[kind])
        for name, kind in kinds.items()
    }
    return pd.DataFrame(columns)


def write_csv(run_dir: Path) -> Path:
    """Write results.csv into the run folder, all of it or nothing, and return its path."""
    path = run_dir / "results.csv"
    text = read_results(run_dir).to_csv(index=False, lineterminator="\n")
    write_atomically(path, text.encode())
    return path


def summary_table(run_dir: Path) -> list[tuple[str, list[dict[str, str]]]]:
    """For the console: for each task and backbone a caption and one row an arm.

    A row holds the accuracy by length (mean over seeds, of several learning rates the best on the
    validation split), then what training costs, at the length that its heading names. A cell that
    failed shows how. Keys are the headings, the same in every row of a table.
    """
    sizes = ("Trainable", "Sites", "Links")
    return [
        (
            table.caption,
            [
                {k: v for k, v in zip(table.head, row, strict=True) if k not in sizes}
                for row in table.rows
            ],
        )
        for table in main_tables([load_run(run_dir)], intervals=False)
    ]


def readme_table(run_dir: Path) -> str:
    """The report's main table in Markdown, with intervals; one for each task and backbone."""
    return "\n\n".join(as_markdown(table) for table in main_tables([load_run(run_dir)])) + "\n"
