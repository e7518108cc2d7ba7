"""Result files as one table: a pandas DataFrame, results.csv, and a short one for the console."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from reports.files import ADDED, BASELINE, EXTRAS, HOUSE, Result, load_run, write_atomically
from reports.stats import accuracy_points, cost_points

COLUMNS = tuple(source[0] for source in HOUSE)
"""What scripts may rely on, in this order; further columns follow."""

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
    kinds = {name: kind for name, _, _, kind in HOUSE + EXTRAS} | dict(ADDED)
    columns = {
        name: pd.Series([result[name] for result in results], dtype=_DTYPES[kind])  # type: ignore[call-overload]
        for name, kind in kinds.items()
    }
    return pd.DataFrame(columns)


def write_csv(run_dir: Path) -> Path:
    """Write results.csv into the run folder, all of it or nothing, and return its path."""
    path = run_dir / "results.csv"
    text = read_results(run_dir).to_csv(index=False, lineterminator="\n")
    write_atomically(path, text.encode())
    return path


def summary_table(run_dir: Path) -> list[dict[str, str]]:
    """One row an arm for the console: accuracy by length, then cost at its longest length.

    Accuracy is the mean over seeds. A cell that failed shows its status. Keys are the headings,
    the same in every row.
    """
    results = [r for r in load_run(run_dir).results if r["in_sweep"]]
    trained = [r for r in results if r["kind"] == "train"]
    lengths = sorted({r["length"] for r in trained})
    points = accuracy_points(trained)
    table = []
    for arm in dict.fromkeys(r["arm"] for r in results):
        row = {"arm": str(arm)}
        for length in lengths:
            cells = [r for r in trained if r["arm"] == arm and r["length"] == length]
            scores = {p.length: f"{p.value:.3f}" for p in points.get(arm, [])}
            failed = next((str(r["status"]) for r in cells if not r.ok), "")
            row[f"{length} tokens"] = scores.get(length) or failed or "-"
        row |= _cost(results, arm)
        table.append(row)
    return table


def _cost(results: list[Result], arm: str) -> dict[str, str]:
    row = {"measured at": "", "train tokens/s": "", "train peak GiB": ""}
    own = [r for r in results if r["arm"] == arm and r["method"] != BASELINE]
    rates = cost_points(own, "train_tokens_per_s").get(arm)
    peaks = cost_points(own, "train_peak_bytes").get(arm)
    if rates:
        row["measured at"] = f"{rates[-1].length} tokens"
        row["train tokens/s"] = f"{rates[-1].value:,.0f}"
    if peaks:
        row["train peak GiB"] = f"{peaks[-1].value / 2**30:.2f}"
    return row
