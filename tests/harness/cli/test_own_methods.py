"""A PEFT method of another package, found through its entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

METHOD = """
from dataclasses import dataclass
from hrm import HrmConfig, HrmLayer, HrmModel
from ssmlora.register import peft_type, register

@dataclass
class Config(HrmConfig):
    def __post_init__(self):
        super().__post_init__()
        self.peft_type = peft_type("MINE")

class Model(HrmModel):
    prefix = "mine_"

register(Config, Model, "MINE")
"""

SWEEP = """
name: own
backbone: minilm
methods: [{mine: {rank: 4, target: mlp}}]
probe: {lengths: [16], batch_size: 2, seconds: 1}
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with an installed package."""
    about = tmp_path / "their_method-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-method\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[bench_long.methods]\nmine = their_method\n")
    (tmp_path / "their_method.py").write_text(METHOD)
    (tmp_path / "own.yaml").write_text(SWEEP)
    return tmp_path


def bench_long(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_a_cell_of_another_packages_method_runs(package: Path) -> None:
    out = package / "out"
    done = bench_long(package, "run", str(package / "own.yaml"), "--out", str(out), "--no-cost")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (out / "results.csv").read_text().splitlines()
    assert any(",mine," in row and ",ok," in row for row in rows[1:]), rows


def test_a_package_that_cannot_be_imported_is_named(package: Path) -> None:
    (package / "their_method.py").write_text("import a_module_that_is_missing\n")
    done = bench_long(package, "plan", str(package / "own.yaml"), "--no-cost")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    for part in ("own.yaml", "'mine'", "their_method", "their-method", "a_module_that_is_missing"):
        assert part in line


def test_other_methods_do_not_need_that_package(package: Path) -> None:
    (package / "their_method.py").write_text("import a_module_that_is_missing\n")
    sweep = package / "own.yaml"
    sweep.write_text(SWEEP.replace("{mine: {rank: 4, target: mlp}}", "{lora: {target: mlp}}"))
    done = bench_long(package, "plan", str(sweep), "--no-cost")
    assert done.returncode == 0, done.stderr
