"""Places where cells run, by name.

To add one, add a module to this folder with a function `make(settings: Settings) -> Executor`
(`harness/execution/executor.py` defines both). The module's name is a value of `--executor`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

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
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    return cast("Executor", module.make(settings))
