"""`bench-long export` prints or writes tables; options that do not fit are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.cli.main import main
from tests.reports.conftest import make_cell, write_run


@pytest.fixture
def run(tmp_path: Path) -> str:
    cells = [make_cell("lora", length=n) for n in (64, 128)]
    return str(write_run(tmp_path / "run", cells))


def test_a_table_is_printed_or_written(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", run, "--latex"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("% \\usepackage{booktabs,graphicx}\n\\begin{table}")
    assert main(["export", run, "--latex", "--to", str(tmp_path / "t.tex")]) == 0
    assert (tmp_path / "t.tex").read_text() == text
    assert main(["export", run, "--markdown", "--table", "cells", "--columns", "arm, seed"]) == 0
    assert "| arm | seed |\n" in capsys.readouterr().out


def test_several_folders_are_one_table(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_run(tmp_path / "other", [make_cell("full", length=64)], name="other")
    assert main(["export", run, str(other), "--markdown"]) == 0
    out = capsys.readouterr().out
    assert "| LoRA 1 |" in out
    assert "| Full |" in out


def test_parquet_and_peft_are_files(run: str, tmp_path: Path) -> None:
    assert main(["export", run, "--parquet", "--to", str(tmp_path / "x.parquet")]) == 0
    assert len(pd.read_parquet(tmp_path / "x.parquet")) == 2
    assert main(["export", run, "--peft", "--to", str(tmp_path / "peft")]) == 0
    (first, _) = sorted((tmp_path / "peft").iterdir())
    assert json.loads(first.read_text())["train_info"]["status"] == "success"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a format"),
        (["--parquet"], "say where to write: --to cells.parquet"),
        (["--peft"], "say where to write: --to FOLDER"),
        (["--latex", "--columns", "arm"], "--columns is of --table cells"),
        (["--parquet", "--table", "arms"], "not --parquet"),
        (["--latex", "--table", "cells", "--columns", "armm"], "Did you mean 'arm'?"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    run: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", run, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
