"""Imports between packages go downwards only, as docs/architecture.md says."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("harness", "ssmlora", "tasks", "reports")
ALLOWED = {
    "harness/core": ("harness.core",),
    "ssmlora": ("ssmlora",),
    "tasks": ("harness.core", "tasks"),
    "reports": ("harness.core", "reports"),
}


def imported(path: Path) -> set[str]:
    """The modules of this project that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if node.module in OURS else {node.module}
    return {name for name in found if name.split(".")[0] in OURS}


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            below = any(f"{name}.".startswith(f"{other}.") for other in ALLOWED[package])
            assert below, f"{path.relative_to(ROOT)} imports {name}"


def test_reading_results_and_listing_tasks_needs_no_torch() -> None:
    core = [f"harness.core.{path.stem}" for path in (ROOT / "harness" / "core").glob("[a-z]*.py")]
    code = f"import sys, tasks, reports.page, {', '.join(core)}; tasks.discover()"
    code += "; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_only_the_interface_of_the_lm_eval_integration_is_used() -> None:
    inside = ROOT / "harness" / "lm_eval"
    for path in sorted((ROOT / "harness").rglob("*.py")):
        names = {n for n in imported(path) if n.startswith("harness.lm_eval.")}
        assert not names or path.is_relative_to(inside), f"{path.relative_to(ROOT)}: {names}"
