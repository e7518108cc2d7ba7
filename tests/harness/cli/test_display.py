"""What a terminal shows of names that anyone may choose."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.table import Table

from benchmarks.runner_overhead import done
from harness.cli.console import coloured, make_console
from tests.harness.conftest import run_here

NAMES = ["b[/x]", "[old] a", "[red]x[/red]", ":smile: 1", "[link=https://x]y"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_printed_as_it_is(name: str) -> None:
    console = make_console()
    console.file = io.StringIO()
    table = Table(box=None)
    table.add_column(name)
    table.add_row(name)
    console.print(name)
    console.print(table)
    console.print(coloured(("ok", "green"), f" {name}"))
    lines = [line.strip() for line in console.file.getvalue().splitlines()]
    assert lines == [name, name, name, f"ok {name}"]


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert coloured("a\nb\x1b[31m").plain == "a\\nb\\x1b[31m"


def test_a_run_into_an_odd_folder(
    tmp_path: Path,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("harness.execution.executors.in_process._run_job", done)
    out = tmp_path / "[old] a\nb[/x]"
    assert run_here(tiny, "--out", out) == 0
    shown = str(out / "report" / "index.html").replace("\n", "\\n")
    assert capsys.readouterr().out.rstrip("\n").endswith(f"report: {shown}")
    assert (out / "report" / "index.html").is_file()
