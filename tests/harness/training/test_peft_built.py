"""PEFT builds what a cell asks for, or the cell is refused before the sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import main
from tests.harness.conftest import TINY

REFUSED = {
    "oft: {oft_block_size: 5}": "oft_block_size: 5 does not fit layers of width 384",
    "oft: {rank: 7}": "rank: 7 does not fit layers of width 384",
    "boft: {boft_n_butterfly_factor: 2}": "boft_n_butterfly_factor: needs a CUDA extension",
    "adalora: {init_r: 4, target_r: 8}": "target_r: 8 must be less than init_r: 4",
    "adalora: {init_r: 4, target_r: 4}": "target_r: 4 must be less than init_r: 4",
    "lora: {lora_dropout: 1.0}": "gets a gradient on this backbone with lora_dropout: 1.0",
}


def plan(method: str, folder: Path) -> int:
    path = folder / "sweep.yaml"
    path.write_text(TINY.replace("lora: {density: 0.5}", method))
    return main(["plan", str(path)])


@pytest.mark.parametrize("method", REFUSED)
def test_what_peft_would_change_is_refused(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(method, tmp_path) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert REFUSED[method] in line
    assert "sweep.yaml: methods." in line


@pytest.mark.parametrize("method", ["oft: {rank: 8}", "boft: {boft_block_num: 4}"])
def test_a_setting_that_excludes_another_needs_no_second_one(method: str, tmp_path: Path) -> None:
    assert plan(method, tmp_path) == 0


def test_an_empty_folder_name_is_refused(tmp_path: Path, tiny: Path) -> None:
    for command in ("run", "plan"):
        assert main([command, str(tiny), "--out", ""]) == 2
