"""Which package is this Python module from? Code whose answer needs a good deal of its length."""

from __future__ import annotations

import ast
import gc
import importlib.util
import random
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

from tasks.base import Example, MissingData, Splits, Task, TaskMetadata
from tasks.lib.cache import cached
from tasks.lib.content import tested
from tasks.lib.duplicates import near_duplicates

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
"""Characters that must be left of a module after stripping."""

LONGEST = 40_000
"""Characters kept of a module: more than 8192 tokens of code."""

_LARGEST_FILE = 1_000_000
"""Bytes: larger files are generated tables."""

_COPIED = 1_000
"""Code copied to fewer modules than this ties them (attention layers are copied to a hundred)."""

_RULES = "1"
"""Raised when the rules below change what is kept."""

_TESTED = "09fbf0d47b89d44f"
"""Digest of the examples of the versions in constraints.txt."""

# The look at the first letter makes it 2.5 times as fast: there is a quarter of a gigabyte to read.
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
    """The packages' versions, as their metadata on disk state them."""
    found = []
    for package, distribution in PACKAGES.items():
        try:
            found.append(f"{package}={version(distribution)}")
        except PackageNotFoundError:
            found.append(f"{package}=missing")
    return ",".join([*found, f"rules={_RULES}"])


class PySource(Task):
    """The package that a module comes from, of eight.

    Modules are read as text and parsed; nothing in them is imported or run. Imports, comments,
    docstrings and the packages' names (inside longer names too, and their usual short forms) are
    taken out. All modules of a folder are on one side of the split. No two modules are
    near-duplicates: of 5,842 in the tested versions 1,156 go, most of them from transformers,
    and where a pair is on two sides of the split it is the training side that loses its module.
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
        """Check that all eight packages are there and fill the cache (the first time, a minute)."""
        missing = [PACKAGES[name] for name in PACKAGES if package_folder(name) is None]
        if missing:
            raise MissingData(
                "pysource",
                f"the packages {', '.join(missing)}",
                f"run `make setup`, or `pip install {' '.join(missing)}`",
            )
        self.splits(SHORTEST, 0)

    def version(self) -> str:
        """The packages' versions; with a digest of the examples if they are not the tested ones.

        A version does not decide the content: a package may be changed where it is installed, or
        built in another way, and another Python may fail to parse other modules.
        """
        return tested(self.metadata.revision, self._splits(), _TESTED)

    def splits(self, length: int, seed: int) -> Splits:
        """The same modules at every length; the seed orders the training modules."""
        train, validation, test = self._splits()
        shuffled = list(train)
        random.Random(seed).shuffle(shuffled)
        return Splits(shuffled, validation, test)

    def _splits(self) -> Splits:
        return cached("pysource", self.metadata.revision, _build, watch=False)


@contextmanager
def parsing() -> Iterator[None]:
    """Leave cyclic garbage alone: trees of code hold none, and looking for it takes a third."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _build() -> Splits:
    parts: dict[str, list[Example]] = {"test": [], "validation": [], "train": []}
    with parsing():
        for label, package in enumerate(PACKAGES):
            for part, examples in _cut(_modules(package, label)).items():
                parts[part] += examples
    everything = [example for part in parts.values() for example in part]
    dropped: set[int] = set()
    # Test first, then validation, then train: of a pair the second goes.
    for first, second in near_duplicates((e.text for e in everything), common=_COPIED):
        if first not in dropped:
            dropped.add(second)
    kept = {example for index, example in enumerate(everything) if index not in dropped}
    left = {name: [e for e in part if e in kept] for name, part in parts.items()}
    for examples in left.values():
        random.Random(0).shuffle(examples)
    return Splits(**left)


def _modules(package: str, label: int) -> dict[str, list[Example]]:
    """The modules of a package that are long enough, by folder."""
    root = package_folder(package)
    if root is None:
        raise MissingData("pysource", f"the package {PACKAGES[package]}", "run `make setup`")
    folders: dict[str, list[Example]] = {}
    for path in sorted(root.rglob("*.py")):
        text = _read(path)
        if text:
            name = path.relative_to(root.parent).as_posix()
            folders.setdefault(name.rpartition("/")[0], []).append(Example(name, text, label))
    return folders


def _cut(folders: dict[str, list[Example]]) -> dict[str, list[Example]]:
    """Deal whole folders, in an order that their names decide: each to the first with room."""
    total = sum(map(len, folders.values()))
    limits = {"validation": 0.1 * total, "test": 0.25 * total, "train": total}
    parts: dict[str, list[Example]] = {part: [] for part in limits}
    for name in sorted(folders, key=lambda name: zlib.crc32(name.encode())):
        fits = (p for p, limit in limits.items() if len(parts[p]) + len(folders[name]) <= limit)
        parts[next(fits)] += folders[name]
    return parts


def package_folder(package: str) -> Path | None:
    """Where a package's modules lie. Finding a top-level package does not import it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _read(path: Path) -> str:
    """The stripped text of a module, cut to LONGEST; empty for one that is left out."""
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
    # Comments lose their characters and not their lines, so line numbers still hold.
    bare = _STRINGS_AND_COMMENTS.sub(lambda m: "" if m[0].startswith("#") else m[0], source)
    lines = [line.rstrip() for number, line in enumerate(bare.split("\n"), 1) if number not in gone]
    return _NAMES.sub("", "\n".join(line for line in lines if line.strip()))


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Imports and free-standing strings (docstrings among them), at any depth."""
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
