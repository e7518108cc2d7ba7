"""The command `bench-long`, and an import hook for its packages.

The packages are `harness`, `tasks`, `reports` and `ssmlora`. Without the hook, Python could import
a user's `tasks.py` or `reports.py` from the current folder or PYTHONPATH instead. Importing this
module binds the names to the folder of this file, in this process and in processes forked
from it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from itertools import pairwise
from pathlib import Path
from types import ModuleType

PACKAGES = ("harness", "hrm", "ssmlora", "tasks", "reports")

_ROOT = Path(__file__).resolve().parent


class _OwnPackages(MetaPathFinder):
    """Finds the packages in the folder of this file, regardless of `sys.path`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of one of the packages; None for any other module."""
        return PathFinder.find_spec(fullname, [str(_ROOT)]) if fullname in PACKAGES else None


def bind_packages() -> None:
    """Bind the names to the packages of this project.

    Raises:
        ImportError: another module with one of these names is already imported.
    """
    for name in PACKAGES:
        for place in _places(sys.modules.get(name)):
            if _ROOT / name not in (place, place.parent):
                raise ImportError(
                    f"{place} is imported as '{name}', which is a package of bench-long: rename "
                    f"it, or import bench_long first"
                )
    if not any(isinstance(finder, _OwnPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OwnPackages())


def _places(module: ModuleType | None) -> list[Path]:
    """Return the file of a module, or the folders of a package without `__init__.py`."""
    file = getattr(module, "__file__", None)
    found = [file] if file else list(getattr(module, "__path__", ()))
    return [Path(place).resolve() for place in found]


def _is_command() -> bool:
    """Whether this process is the command, which prints one line instead of a traceback."""
    called = Path(sys.argv[0]).name if sys.argv else ""
    return (
        __name__ == "__main__"
        or called == "bench-long"
        or ("-m", "harness") in pairwise(sys.orig_argv)
    )


def main() -> int:
    """Run the command and return its exit code."""
    from harness.cli.main import main as run

    return run()


try:
    bind_packages()
except ImportError as error:
    if not _is_command():
        raise
    print(f"bench-long: {error}", file=sys.stderr)
    raise SystemExit(2) from None

if __name__ == "__main__":
    sys.exit(main())
