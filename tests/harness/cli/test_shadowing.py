"""Modules of the user's with the names of this project's packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench_long


@pytest.mark.slow
def test_a_run_uses_its_own_packages(tmp_path: Path, tiny: Path) -> None:
    """The command, its fork server, its workers and its report: none imports the user's files."""
    for name in bench_long.PACKAGES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the user's {name}')\n")
    call = [sys.executable, "-m", "bench_long", "run", str(tiny), "--out", str(tmp_path / "out")]
    root = Path(bench_long.__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "report" / "index.html").is_file()


def test_a_module_that_is_imported_already_is_named(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import tasks; import harness"
    root = Path(bench_long.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 1
    assert f"{tmp_path / 'tasks.py'} is imported as 'tasks'" in done.stderr


@pytest.mark.parametrize("module", ["harness", "bench_long"])
@pytest.mark.parametrize("form", ["tasks.py", "tasks/__init__.py"])
def test_the_command_names_it_in_one_line(module: str, form: str, tmp_path: Path) -> None:
    """Imported before the command starts, by a site customisation; a module or a package."""
    path = tmp_path / form
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    (tmp_path / "sitecustomize.py").write_text("import tasks")
    root = Path(bench_long.__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    call = [sys.executable, "-m", module, "tasks"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "tasks") in line
    assert "rename it" in line
