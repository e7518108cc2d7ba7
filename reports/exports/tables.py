"""Tables of results as LaTeX, Markdown and Parquet."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pandas as pd
from pandas.api.types import is_numeric_dtype

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
        "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\rightarrow$",
        "–": "--", "…": r"\ldots{}", "“": "``", "”": "''", "\u00a0": "~",
    }
)  # fmt: skip

_MOST_ROWS = 45
"""Of a table on one page."""
_FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Begins a box that is made smaller if it is wider than the text."""


def arms(report: Report) -> list[Table]:
    """Score by length and cost of training, one row for each arm."""
    found = []
    for table in arm_tables(report):
        known = not table.title or table.caption.startswith(table.title)
        caption = table.caption if known else f"{table.title}: {table.caption}"
        numbers = frozenset(table.head[1:]) - {"Task", "Metric"}
        found.append(Table(caption, table.head, table.rows, numbers))
    return found


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
    numbers = frozenset(name for name in chosen if is_numeric_dtype(every[name]))
    return [Table(f"{len(rows)} cells of {runs}", chosen, rows, numbers)]


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
    """The tables in LaTeX, after a comment that names their packages; all text is escaped.

    A table that is wider than the text is made smaller. More than 45 rows are a `longtable`, in a
    small font, because a table of that class cannot be made smaller.
    """
    texts = [_latex(_plain(table)) for table in tables]
    used = {"booktabs": r"\toprule", "graphicx": _FITTED, "longtable": r"\begin{longtable}"}
    packages = [name for name, sign in used.items() if any(sign in text for text in texts)]
    return "\n".join([f"% \\usepackage{{{','.join(packages)}}}", *texts])


def escaped_latex(text: str) -> str:
    """The text on one line, with all signs of LaTeX escaped."""
    return " ".join(text.translate(_LATEX).split())


def as_parquet(frame: pd.DataFrame) -> bytes:
    """All cells with all columns of results.csv, typed."""
    content, table = io.BytesIO(), frame.drop(columns=list(DETAILS))
    table.attrs = {}  # they would be written, and the runs cannot be
    table.to_parquet(content, index=False)
    return content.getvalue()


def _latex(table: Table) -> str:
    escaped = escaped_latex
    rows = [[escaped(str(entry)) for entry in row] for row in table.rows]
    frame = pd.DataFrame(rows, columns=[escaped(name) for name in table.head])
    sides = "".join("r" if name in table.numeric else "l" for name in table.head)
    caption = escaped(table.caption)
    if len(rows) > _MOST_ROWS:
        long = frame.to_latex(index=False, caption=caption, column_format=sides, longtable=True)
        return f"{{\\scriptsize\\setlength{{\\tabcolsep}}{{3pt}}\n{long}}}\n"
    text: str = frame.to_latex(index=False, caption=caption, column_format=sides)
    text = text.replace(r"\begin{table}", "\\begin{table}\n\\centering")
    text = text.replace(r"\begin{tabular}", f"{_FITTED}\n\\begin{{tabular}}")
    return text.replace(r"\end{tabular}", r"\end{tabular}}")


def _plain(table: Table) -> Table:
    rows = [[e if isinstance(e, str) else e.text for e in row] for row in table.rows]
    return Table(table.caption, table.head, rows, table.numeric)


def _text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
