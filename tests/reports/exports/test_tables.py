"""Tables for papers and other programs."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from harness.core.errors import BadInput
from reports.exports.tables import arms, as_latex, as_markdown, as_parquet, cells, differences
from reports.frame import DETAILS, load_results
from reports.page import Report
from tests.reports.conftest import make_cell, write_run

HOSTILE = r"50 % & \input{x} $a_b$ <i>"


@pytest.fixture
def report(laptop: Path) -> Report:
    return Report(load_results(laptop))


def test_latex_has_a_row_for_each_arm_with_its_score(report: Report) -> None:
    text = as_latex(arms(report))
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert r"\toprule" in text
    (row,) = [line for line in text.splitlines() if line.startswith("LoRA 1 &")]
    ends = [re.findall(r"\.?\d+\.\d+", cell) for cell in row.split("&") if " to " in cell]
    own = report.frame[(report.frame["arm"] == "LoRA 1") & (report.frame["kind"] == "train")]
    shown = [f"{value:.3f}" for value in own.sort_values("length")["score"]]
    assert [found[0] for found in ends] == shown
    assert r"(95 \% intervals" in text


def test_all_signs_are_escaped_in_latex(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [make_cell("lora", arm=HOSTILE)], name="a_b & c")
    text = as_latex(cells(Report(load_results(run)), ["arm", "score_low"]))
    assert r"50 \% \& \textbackslash{}input\{x\} \$a\_b\$ $<$i$>$" in text
    assert r"\caption{1 cells of a\_b \& c}" in text
    assert r"score\_low" in text


def test_numbers_are_right_aligned_and_a_long_table_has_several_pages(report: Report) -> None:
    (table,) = cells(report, ["arm", "length", "status"])
    text = as_latex([replace(table, rows=table.rows[:45])])
    assert r"\begin{tabular}{lrl}" in text
    assert text.startswith("% \\usepackage{booktabs,graphicx}\n")
    text = as_latex([replace(table, rows=table.rows[:46])])
    assert r"\begin{longtable}{lrl}" in text
    assert text.startswith("% \\usepackage{booktabs,longtable}\n")
    assert text.count("{") == text.count("}")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="LaTeX is not installed")
def test_every_table_compiles_and_is_as_wide_as_the_text(laptop: Path, tmp_path: Path) -> None:
    frame = load_results(laptop)
    frame.loc[0, "arm"] = HOSTILE + " ~^\\|\u2212±×≤≥→–…“x”·ü²\u00a0"
    report = Report(frame)
    (table,) = cells(report, ["arm", "seed"])
    short = replace(table, rows=table.rows[:20])
    tables = [*arms(report), *differences(report), short, replace(table, rows=[*table.rows] * 3)]
    text = as_latex(tables)
    lines = [r"\documentclass{article}", text.splitlines()[0].removeprefix("% ")]
    lines += [r"\begin{document}", text, r"\end{document}"]
    (tmp_path / "x.tex").write_text("\n".join(lines), encoding="utf-8")
    call = ["pdflatex", "-interaction=nonstopmode", "x.tex"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout


def test_differences_have_intervals_and_verdicts(laptop: Path, report: Report) -> None:
    (table,) = differences(report)
    assert table.head[:3] == ["Arm", "minus", "Role"]
    text = as_markdown([table])
    assert "no verdict (fewer than three seeds)" in text
    assert text.count("\n| ") == len(table.rows) + 2


def test_columns_of_cells_can_be_chosen(report: Report) -> None:
    (table,) = cells(report, ["arm", "wall_s"])
    assert (table.head, len(table.rows)) == (["arm", "wall_s"], len(report.frame))
    (table,) = cells(report)
    assert "train_live_peak_bytes" not in table.head  # empty in these results
    assert "score" in table.head
    with pytest.raises(BadInput, match="no column 'scor'"):
        cells(report, ["scor"])


def test_parquet_has_all_cells_and_columns_with_their_types(laptop: Path) -> None:
    frame = load_results(laptop)
    read = pd.read_parquet(io.BytesIO(as_parquet(frame)))
    assert [*read.columns] == [c for c in frame.columns if c not in DETAILS]
    assert len(read) == len(frame)
    assert read["length"].dtype.kind == "i"
    assert read["score"].sum() == pytest.approx(frame["score"].sum())
