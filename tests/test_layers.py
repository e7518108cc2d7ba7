"""Imports point downwards only, folders stay small, and light parts import no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "hrm", "ssmlora", "tasks", "reports")
HARNESS = (
    "core",
    "system",
    "models",
    "training",
    "kept",
    "lm_eval",
    "costs",
    "planning",
    "execution",
    "cli",
)
"""Packages of harness from the bottom to the top."""


def imports(path: Path) -> Iterator[str]:
    """The modules of this project that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def files(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


def allowed(package: str, name: str) -> bool:
    """Whether a file of `package` (such as `tasks` or `harness.models`) may import `name`."""
    top, _, inner = name.partition(".")
    if top == "harness":
        part = inner.split(".")[0]
        if package.startswith("harness."):
            own = package.removeprefix("harness.")
            return not part or HARNESS.index(part) <= HARNESS.index(own)
        return package in ("tasks", "reports") and part in ("", "core")
    if package == "harness.core":
        return False
    if package == "hrm" and top == "ssmlora":  # its registration and checks of checkpoints
        return True
    return top == package or package.startswith("harness.")


@pytest.mark.parametrize(
    "package", ["ssmlora", "hrm", "tasks", "reports", *(f"harness.{n}" for n in HARNESS)]
)
def test_imports_point_downwards(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files(package.replace(".", "/"))
        for name in imports(path)
        if not allowed(package, name)
    ]
    if package == "harness.cli":  # reports are the last step of a run
        wrong = [line for line in wrong if ": reports" not in line]
    assert wrong == []


def test_only_the_interface_of_lm_eval_is_imported() -> None:
    inner = ("from harness.lm_eval.", "import harness.lm_eval.")
    found = [
        path.relative_to(ROOT).as_posix()
        for path in files("harness")
        if path.parent.name != "lm_eval" and any(w in path.read_text("utf-8") for w in inner)
    ]
    assert found == []


def test_every_package_of_harness_has_a_place() -> None:
    found = {path.parent.name for path in (ROOT / "harness").glob("*/__init__.py")}
    assert found == set(HARNESS)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_has_more_than_twenty_files(package: str) -> None:
    folders = {path.parent for path in files(package)}
    assert {f.name: n for f in folders if (n := len(list(f.glob("*.py")))) > 20} == {}


def test_reports_have_few_files() -> None:
    """Sections, two drawings of figures, changes between runs, exports."""
    assert len(files("reports")) <= 50


@pytest.mark.parametrize(
    "code",
    [
        "import harness.core.folder, harness.core.columns, harness.core.metrics",
        "import tasks; assert len(tasks.discover()) > 40",
        "import reports.page, reports.sections.overview",
    ],
)
def test_light_parts_import_no_torch(code: str) -> None:
    call = [sys.executable, "-c", f"{code}; import sys; sys.exit('torch' in sys.modules)"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
