"""Python classes and functions: generate the first sentence of the docstring from the code."""

from __future__ import annotations

import ast
import re
import warnings
import zlib
from pathlib import Path
from typing import ClassVar

from tasks.base import Example, Splits, Task, TaskMetadata
from tasks.builtin.documents.pysource import (
    PACKAGES,
    PySource,
    check_packages,
    package_folder,
    parsing,
    strip,
)
from tasks.lib.cache import cached
from tasks.lib.content import tested
from tasks.lib.duplicates import without_duplicates
from tasks.lib.rows import shuffle_train

SHORTEST = 1500
"""Characters of a class or function after stripping, at least."""

LONGEST = 40_000
"""Characters kept of it."""

WORDS = (5, 30)
"""Fewest and most words of a sentence that is used as an answer."""

_RULES = "1"
"""Increase when the rules below change the result."""

_TESTED = "274a7089e71fcf67"
"""Digest of the examples, for the versions in constraints.txt."""

_LEFT_OUT = {"transformers"}
"""Its docstrings are copied from model to model."""

_DOCSTRING = re.compile(r"^[ \t]+[rRuU]?(?:\"\"\"|'''|\"|')", re.MULTILINE)
"""An indented line that begins with a string."""

_SENTENCE = re.compile(r"(.+?[.!?])(?:\s|$)")


class PyDoc(Task):
    """A class or function of an installed package, without docstrings and comments.

    Each module gives one example: the longest class or function whose docstring has a first
    sentence of WORDS words. Modules are parsed, never run. All modules of a folder are in one
    split, and no two texts are near-duplicates.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="pydoc",
        title="First sentence of a docstring, from the code",
        description=(
            "The first sentence of a class's or function's docstring, to be written from its code "
            "of 1.5 KB and more, comments and docstrings removed."
        ),
        family="generation",
        metric="rouge_l",
        answer_tokens=48,
        source="the Python packages installed beside this benchmark, split by folder",
        revision=f"{PySource.metadata.revision},pydoc:{_RULES}",
        licence=PySource.metadata.licence,
        citation="none: made from the installed packages",
        natural_length=1000,
        lengths=(256, 512, 1024, 2048, 4096),
        min_length=128,
    )

    def prepare(self) -> None:
        """Check that the packages are installed and fill the cache (a minute, the first time)."""
        check_packages("pydoc")
        self.splits(SHORTEST, 0)

    def version(self) -> str:
        """The packages' versions, and a digest of the examples if they are not the tested ones."""
        return tested(self.metadata.revision, self._splits(), _TESTED)

    def splits(self, length: int, seed: int) -> Splits:
        """The same code at every length; the seed orders the training examples."""
        return shuffle_train(self._splits(), seed)

    def _splits(self) -> Splits:
        return cached("pydoc", self.metadata.revision, _build, watch=False)


def _build() -> Splits:
    parts: dict[str, list[Example]] = {part: [] for part in Splits._fields}
    with parsing():
        for package in sorted(PACKAGES.keys() - _LEFT_OUT):
            root = package_folder(package)
            assert root is not None  # prepare has looked
            for path in sorted(root.rglob("*.py")):
                name = path.relative_to(root.parent).as_posix()
                folder = zlib.crc32(name.rpartition("/")[0].encode()) % 10
                part = "test" if folder < 3 else "validation" if folder == 3 else "train"
                parts[part] += _example(name, path)
    return without_duplicates(parts)


def _example(name: str, path: Path) -> list[Example]:
    """The example of a module, if it has one."""
    try:
        source = path.read_text(encoding="utf-8")
        best = longest(source)
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    if best is None:
        return []
    what, text, sentence = best
    question = f"What is {what} for, in one sentence?"
    return [Example(f"{name}:{what}", text, second=question, answers=(sentence,))]


def longest(source: str) -> tuple[str, str, str] | None:
    """Name, stripped text and first sentence of the longest top-level class or function.

    Of two with the same length, the first one. None if none is long enough and has a sentence.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: the module cannot be parsed.
    """
    if len(source) < SHORTEST or not _DOCSTRING.search(source):
        return None  # parsing takes most of the time
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    lines = source.split("\n")
    found: list[tuple[int, str, str, str]] = []
    for place, node in enumerate(tree.body):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        sentence = first_sentence(ast.get_docstring(node) or "")
        own = lines[node.lineno - 1 : node.end_lineno]
        if sentence and sum(map(len, own)) >= SHORTEST:
            found.append((place, node.name, "\n".join(own), sentence))
    best: tuple[int, int, str, str, str] | None = None
    # The longest first, because stripping, which parses again, only shortens.
    for place, name, own_text, sentence in sorted(found, key=lambda one: -len(one[2])):
        if best and min(len(own_text), LONGEST) < -best[0]:
            break
        text = strip(own_text)[:LONGEST]
        if len(text) >= SHORTEST and (not best or (-len(text), place) < best[:2]):
            best = (-len(text), place, name, text, sentence)
    return best[2:] if best else None


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring; "" if it has too few or too many words."""
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    match = _SENTENCE.match(paragraph)
    sentence = match[1] if match else paragraph
    return sentence if WORDS[0] <= len(sentence.split()) <= WORDS[1] else ""
