"""Docs as tests: the ten first tasks are done in a fresh copy of the project, as on their page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "first-tasks.md"
MOST_COMMANDS = 5

RESULTS = {
    1: "runs/mine/report/accuracy-length.png",
    2: "reload.py",
    3: "table.tex",
    4: "changes.html",
    5: "runs/mine/report/index.html",
    6: "my_tasks/my_task.py",
    7: "runs/density/report/index.html",
    8: "mine.yaml",
    9: "fits/longest-context.png",
    10: "shared/mine/report/index.html",
}
"""A file that each task leaves."""

SAYS = {
    2: "tensor(",
    4: "epochs",
    5: "ia3",
    7: "SSMLoRA 1/4",
    8: "h100",
    9: "LoRA",
    10: "Regressions: 0.",
}
"""What a task prints."""


def tasks() -> dict[int, str]:
    """The commands of each task by its number."""
    found = re.findall(r"^## (\d+)\. .*?^```sh\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return {int(number): commands for number, commands in found}


def commands(script: str) -> list[str]:
    """The commands of a script; the lines of a file that it writes are part of one command."""
    text = re.sub(r"<<'(\w+)'\n.*?^\1$", "", script, flags=re.M | re.S)
    return [line for line in text.splitlines() if line.strip()]


def test_ten_tasks_have_at_most_five_commands_each() -> None:
    found = tasks()
    assert [*found] == [*range(1, 11)] == [*RESULTS]
    for number, script in found.items():
        assert 1 <= len(commands(script)) <= MOST_COMMANDS, number


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_stranger_can_do_them_in_a_fresh_copy(tmp_path: Path) -> None:
    """All tasks in their order, with the files of the repository only."""
    copy = tmp_path / "bench-long"
    call = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(os.path.isfile, names.splitlines()):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(name, copy / name)
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": paths, "PYTHONPATH": str(copy), "BENCH_LONG_NO_COST": "1"}
    for number, script in tasks().items():
        if "bench-long plan" in script:
            environment = {k: v for k, v in environment.items() if k != "BENCH_LONG_NO_COST"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert done.returncode == 0, f"task {number}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        assert (copy / RESULTS[number]).exists(), number
        assert SAYS.get(number, "") in done.stdout, f"task {number}: {done.stdout[-3000:]}"
