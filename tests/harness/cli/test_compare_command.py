"""`bench-long compare` prints what changed, writes it, and can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import main
from tests.reports.conftest import make_cell, write_run
from tests.reports.made import arm

HOSTILE = "<script>alert(1)</script>|`x`"


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """A run, one that is worse, and one with nothing in common."""
    made = [{s: n + s for s in range(3)} for n in (160, 120)]
    cells = [arm("LoRA 1", made[0]), arm("LoRA 1", made[1]), [make_cell("full", length=64)]]
    return [str(write_run(tmp_path / str(k), own)) for k, own in enumerate(cells)]


def test_the_changes_are_printed(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", runs[0], runs[1]]) == 0
    out = capsys.readouterr().out
    assert "Scores: 1 worse." in out
    assert "−0.200 (" in out
    assert "The cells that both sides have share all settings and versions." in out


def test_it_can_fail_on_a_regression(runs: list[str]) -> None:
    assert main(["compare", runs[0], runs[1], "--fail-on", "regression"]) == 1
    assert main(["compare", runs[1], runs[0], "--fail-on", "regression"]) == 0


def test_without_common_cells_it_does_not_pass(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", runs[0], runs[2]]) == 0
    assert "The sides have no cell in common." in capsys.readouterr().out
    assert main(["compare", runs[0], runs[2], "--fail-on", "regression"]) == 2
    assert "have no cell in common" in capsys.readouterr().err


def test_a_file_has_all_of_it_and_hostile_names_are_escaped(
    tmp_path: Path, runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    cell = make_cell("lora", length=32, arm=HOSTILE)
    hostile = write_run(tmp_path / "hostile", [*arm("LoRA 1", {0: 150}), cell])
    for end in (".html", ".md"):
        page = tmp_path / f"page{end}"
        assert main(["compare", runs[0], str(hostile), "--to", str(page)]) == 0
        text = page.read_text()
        assert "<script>alert" not in text
        assert "alert(1)" in text
        assert "LoRA 1" in text
        assert f"written: {page}" in capsys.readouterr().out
    assert "\\|\\`x\\`" in text
    assert main(["compare", runs[0], runs[1], "--to", str(tmp_path / "page.txt")]) == 2
    assert "must end in .html or .md" in capsys.readouterr().err


def test_a_long_table_shows_differences_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = [make_cell("lora", length=n) for n in range(64, 64 + 41)]
    folders = [str(write_run(tmp_path / name, many)) for name in "ab"]
    assert main(["compare", *folders, "--to", str(tmp_path / "page.md")]) == 0
    assert "41 rows without a difference or a verdict are not shown." in capsys.readouterr().out
    assert (tmp_path / "page.md").read_text().count("| newsgroups | accuracy |") == 41
