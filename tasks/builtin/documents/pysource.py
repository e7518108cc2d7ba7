"""Python modules of installed packages, classified by package."""

from __future__ import annotations

import ast
import gc
import importlib.util
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

from tasks.base import Example, MissingData, Splits, Task, TaskError, TaskMetadata
from tasks.builtin.documents.frozen import freeze, frozen_file, frozen_revision, thawed
from tasks.lib.cache import cached
from tasks.lib.content import tested
from tasks.lib.duplicates import without_duplicates
from tasks.lib.rows import deal_folders, shuffle_train

PACKAGES = {
    "torch": "torch",
    "transformers": "transformers",
    "sympy": "sympy",
    "pandas": "pandas",
    "sklearn": "scikit-learn",
    "networkx": "networkx",
    "numpy": "numpy",
    "matplotlib": "matplotlib",
}
"""Import name -> distribution. The import names are the labels."""

SHORTEST = 3072
"""Characters of a module after stripping, at least."""

LONGEST = 40_000
"""Characters kept of a module: more than 8192 tokens of code."""

_LARGEST_FILE = 1_000_000
"""Bytes: larger files are generated tables."""

_COPIED = 1_000
"""Code in more modules than this is boilerplate (attention layers are copied to a hundred)."""

_RULES = "1"
"""Increase when the rules below change the result."""

_TESTED = "09fbf0d47b89d44f"
"""Digest of the examples, for the versions in constraints.txt."""

# The lookahead makes this 2.5 times as fast on a quarter of a gigabyte.
_NAMES = re.compile(
    r"(?=[sStTpPnNmM])(?:"
    r"(?i:scikit[-_ ]?learn|sklearn|torch|transformers|sympy|pandas|networkx|numpy|matplotlib)"
    r"|\b(?:np|pd|nx|plt|mpl)(?:\b|(?=_)))"
)
_STRINGS_AND_COMMENTS = re.compile(
    r'"""(?:[^\\]|\\.)*?"""'
    r"|'''(?:[^\\]|\\.)*?'''"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'(?:[^'\\\n]|\\.)*'"
    r"|#[^\n]*",
    re.DOTALL,
)


def _revision() -> str:
    """The versions of the packages, from their metadata."""
    found = []
    for package, distribution in PACKAGES.items():
        try:
            found.append(f"{package}={version(distribution)}")
        except PackageNotFoundError:
            found.append(f"{package}=missing")
    return ",".join([*found, f"rules={_RULES}"])


class PySource(Task):
    """The package that a module comes from, of eight.

    Modules are read as text and parsed, never imported or run. Imports, comments, docstrings and
    the packages' names (also inside longer names, and their usual short forms) are removed. All
    modules of a folder are in one split, and no two modules are near-duplicates: 1,156 of 5,842 are
    removed in the tested versions, most of them from transformers. If $BENCH_LONG_FROZEN has a
    frozen file of the tested examples, that file is read in place of the installed packages.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="pysource",
        title="Python modules of eight installed packages",
        description=(
            "Package of a Python module of 3 KB and more, its imports, comments, docstrings and "
            "the packages' names removed: " + ", ".join(PACKAGES) + "."
        ),
        labels=tuple(PACKAGES),
        source="the Python packages installed beside this benchmark, split by folder",
        revision=_revision(),
        licence="each package's own: BSD-3-Clause, Apache-2.0, PSF-based (matplotlib)",
        citation="none: made from the installed packages",
        natural_length=3700,
        lengths=(256, 512, 1024, 2048, 4096, 8192),
        balanced=False,
    )

    def prepare(self) -> None:
        """Check that the packages are installed and fill the cache (a minute, the first time)."""
        if frozen_file("pysource") is None:
            check_packages("pysource")
        self.splits(SHORTEST, 0)

    def version(self) -> str:
        """The packages' versions, and a digest of the examples if they are not the tested ones.

        The versions alone are not enough: an installed package can be modified, and another Python
        version may fail to parse other modules. Frozen examples have the version of the packages
        that they were made from.
        """
        return tested(_source()[0], self._splits(), _TESTED)

    def splits(self, length: int, seed: int) -> Splits:
        """The same modules at every length; the seed orders the training modules."""
        return shuffle_train(self._splits(), seed)

    def freeze(self, folder: Path) -> Path:
        """Write the examples of the tested versions for $BENCH_LONG_FROZEN; return the file.

        Raises:
            TaskError: the installed packages give other examples.
        """
        if self.version() != (revision := _source()[0]):
            raise TaskError(
                "pysource: the installed packages do not give the tested examples: install the "
                "versions of constraints.txt (`make setup`)"
            )
        return freeze("pysource", revision, self._splits(), folder)

    def _splits(self) -> Splits:
        revision, build = _source()
        return cached("pysource", revision, build, watch=False)


def _source() -> tuple[str, Callable[[], Splits]]:
    """The version of the data and what builds it: a frozen file, or the installed packages."""
    if file := frozen_file("pysource"):
        return frozen_revision("pysource", file), partial(thawed, "pysource", file, _TESTED)
    return PySource.metadata.revision, _build


@contextmanager
def parsing() -> Iterator[None]:
    """Disable the garbage collector, which takes a third of the time and finds no cycles here."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _build() -> Splits:
    parts: dict[str, list[Example]] = {part: [] for part in Splits._fields}
    with parsing():
        for label, package in enumerate(PACKAGES):
            for part, examples in deal_folders(list(_modules(package, label))).items():
                parts[part] += examples
    return without_duplicates(parts, common=_COPIED)


def _modules(package: str, label: int) -> Iterator[Example]:
    """The modules of a package that are long enough."""
    root = package_folder(package)
    if root is None:
        raise MissingData("pysource", f"the package {PACKAGES[package]}", "run `make setup`")
    for path in sorted(root.rglob("*.py")):
        if text := _read(path):
            yield Example(path.relative_to(root.parent).as_posix(), text, label)


def check_packages(task: str) -> None:
    """Check that all packages are installed.

    Raises:
        MissingData: some are not.
    """
    missing = [PACKAGES[name] for name in PACKAGES if package_folder(name) is None]
    if missing:
        raise MissingData(
            task,
            f"the packages {', '.join(missing)}",
            f"run `make setup`, or `pip install {' '.join(missing)}`",
        )


def package_folder(package: str) -> Path | None:
    """The folder of a package. Locating a top-level package does not import it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _read(path: Path) -> str:
    """The stripped text of a module, cut to LONGEST; "" for a module that is not used."""
    try:
        if not SHORTEST <= path.stat().st_size <= _LARGEST_FILE:
            return ""
        text = strip(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return text[:LONGEST] if len(text) >= SHORTEST else ""


def strip(source: str) -> str:
    """Remove imports, docstrings, comments, blank lines and the packages' names from a module.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it cannot be parsed.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    gone: set[int] = set()
    for node in _statements(tree):
        gone.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    # Only the characters of comments are removed, so line numbers stay valid.
    bare = _STRINGS_AND_COMMENTS.sub(lambda m: "" if m[0].startswith("#") else m[0], source)
    lines = [line.rstrip() for number, line in enumerate(bare.split("\n"), 1) if number not in gone]
    return _NAMES.sub("", "\n".join(line for line in lines if line.strip()))


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Imports and string statements such as docstrings, at any depth."""
    open_nodes: list[ast.AST] = [tree]
    while open_nodes:
        for child in ast.iter_child_nodes(open_nodes.pop()):
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child
            elif isinstance(child, ast.Expr):
                if isinstance(child.value, ast.Constant) and isinstance(child.value.value, str):
                    yield child
            elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
                open_nodes.append(child)
