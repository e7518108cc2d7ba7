"""Places where cells run, by name.

To add one, add a module to this folder with a function `make(settings: Settings) -> Executor`
(`harness/execution/executor.py` defines both). The module's name is a value of `--executor`. A
function `default_workers(device: str) -> int` is optional: it replaces that of this machine.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import TYPE_CHECKING, cast

from harness.system import resources

if TYPE_CHECKING:
    from harness.execution.executor import Executor, Settings

DEFAULT = "local"


def executor_names() -> list[str]:
    """Return the values of `--executor`. No executor is imported."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def make_executor(name: str, settings: Settings) -> Executor:
    """Build an executor by its name; nothing is started before its first job.

    Raises:
        BadInput: a package that the executor needs is not installed.
    """
    return cast("Executor", _module(name).make(settings))


def default_workers(name: str, device: str) -> int:
    """Return how many jobs an executor runs at a time unless a user says otherwise.

    Raises:
        BadInput: a package that it needs is not installed, or its cluster does not answer.
    """
    count = getattr(_module(name), "default_workers", resources.default_workers)
    return int(count(device))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
