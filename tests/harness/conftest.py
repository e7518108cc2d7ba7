"""Real sweeps, run by the real command in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SWEEPS = ROOT / "sweeps"


def bench_long(*words: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    call = [sys.executable, "-m", "harness", *map(str, words)]
    return subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=timeout)


def start_bench_long(*words: object) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a terminal does.

    What runs the tests may ignore Ctrl-C (a shell's background jobs do), and children inherit that.
    """
    call = [sys.executable, "-m", "harness", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        call,
        stdout=pipe,
        stderr=pipe,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def cells(folder: Path) -> dict[str, dict[str, Any]]:
    """Every cell file of a run folder by its name."""
    return {p.name: json.loads(p.read_text()) for p in sorted((folder / "cells").glob("*.json"))}


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one real run of the smoke sweep."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    done = bench_long("run", SWEEPS / "smoke.yaml", "--out", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


TINY = """\
name: tiny
backbone: minilm
tasks: [newsgroups]
lengths: [32]
methods:
  - lora: {density: 0.5}
train: {examples: 16, validation_examples: 8, test_examples: 8, validations: 1, lr: 1.0e-3}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A sweep file with one training cell and its baseline."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path
