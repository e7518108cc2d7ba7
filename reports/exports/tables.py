"""Tables of results as LaTeX, Markdown and Parquet."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pandas as pd

from harness.core.errors import BadInput, nearest
from reports.arms import arm_tables, markdown
from reports.blocks import Table
from reports.frame import DETAILS
from reports.page import Report
from reports.sections.comparisons import comparison_tables

CELL_COLUMNS = (
    "task", "backbone", "arm", "length", "seed", "lr", "status", "metric", "score", "score_low",
    "score_high", "trainable_params", "train_tokens_per_s", "train_live_peak_bytes",
)  # fmt: skip
"""Columns of a table of cells, unless others are named; empty ones are left out."""

_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": "$<$", ">": "$>$", "|": "$|$", "−": "$-$", "±": r"$\pm$", "×": r"$\times$",
        "–": "--", "…": r"\ldots{}", "“": "``", "”": "''", "\u00a0": "~",
    }
)  # fmt: skip


def arms(report: Report) -> list[Table]:
    """Score by length and cost of training, one row for each arm."""
    found = arm_tables(report)
    return [
        Table(f"{t.title}: {t.caption}" if t.title else t.caption, t.head, t.rows) for t in found
    ]


def differences(report: Report) -> list[Table]:
    """The declared differences between arms, with intervals and verdicts."""
    return [
        one
        for group in report.training
        if group.points
        for one in comparison_tables(group, report.comparisons[group.key])
        if isinstance(one, Table)
    ]


def cells(report: Report, columns: Sequence[str] = ()) -> list[Table]:
    """One row for each cell.

    Raises:
        BadInput: there is no such column.
    """
    every = report.frame.drop(columns=list(DETAILS))
    for name in columns:
        if name not in every:
            raise BadInput(
                f"--columns: there is no column '{name}'.{nearest(name, map(str, every))}"
            )
    chosen = list(columns) or [c for c in CELL_COLUMNS if every[c].notna().any()]
    rows = [[_text(value) for value in row] for row in every[chosen].itertuples(index=False)]
    runs = ", ".join(run.name for run in report.runs)
    return [Table(f"{len(rows)} cells of {runs}", chosen, rows)]


TABLES: dict[str, Callable[[Report], list[Table]]] = {
    "arms": arms,
    "differences": differences,
    "cells": cells,
}
"""What can be exported as text."""


def as_markdown(tables: Sequence[Table]) -> str:
    """The tables in Markdown, each with its caption."""
    return "\n\n".join(markdown(_plain(table)) for table in tables) + "\n"


def as_latex(tables: Sequence[Table]) -> str:
    r"""The tables in LaTeX, for `\usepackage{booktabs}`; all text is escaped."""
    return "\n".join(_latex(_plain(table)) for table in tables)


def as_parquet(frame: pd.DataFrame) -> bytes:
    """All cells with all columns of results.csv, typed."""
    content, table = io.BytesIO(), frame.drop(columns=list(DETAILS))
    table.attrs = {}  # they would be written, and the runs cannot be
    table.to_parquet(content, index=False)
    return content.getvalue()


def _latex(table: Table) -> str:
    def escaped(text: str) -> str:
        return " ".join(text.translate(_LATEX).split())

    rows = [[escaped(str(entry)) for entry in row] for row in table.rows]
    frame = pd.DataFrame(rows, columns=[escaped(name) for name in table.head])
    sides = "l" + "r" * (len(table.head) - 1)
    text: str = frame.to_latex(index=False, caption=escaped(table.caption), column_format=sides)
    return text


def _plain(table: Table) -> Table:
    rows = [[e if isinstance(e, str) else e.text for e in row] for row in table.rows]
    return Table(table.caption, table.head, rows)


def _text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
