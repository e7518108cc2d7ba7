"""Licence texts: what kind of licence is it? Real documents whose kind a good reader sees early."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import re
from collections import Counter
from pathlib import Path
from typing import ClassVar

from tasks.base import Example, MissingData, Splits, Task, TaskError, TaskMetadata
from tasks.lib.cache import cached
from tasks.lib.duplicates import groups, near_duplicates

KINDS = {
    "Permissive": "permissive",
    "Copyleft": "copyleft",
    "Copyleft Limited": "copyleft",
    "Proprietary Free": "proprietary",
    "Commercial": "proprietary",
    "Free Restricted": "restricted",
    "Source-available": "restricted",
}
"""The package's category -> label. Other categories (contributor agreements, patents) are left."""

LABELS = ("permissive", "copyleft", "proprietary", "restricted")

SHORTEST = 500
"""Characters of the shortest text kept: below are notices of a line or two."""

TEST, VALIDATION = 500, 180
"""Texts that the two splits have at least."""

LARGE = 40
"""A group of more near-duplicates than this goes to train, or it would be most of a split."""

_PACKAGE = "licensedcode-data==32.1.0"
_SHA256 = "5a1bba9f14cc7816cd8b73cd9b1947c1920a4eecdb7b86f4fa0a631885c23edb"
_RULES = "1"
"""Raised when the rules below change what is kept."""

_DOCUMENT = re.compile(r"---\n(.*?)^---(?:\n|\Z)(.*)", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^(category|is_deprecated|language):[ \t]*(.+?)[ \t]*$", re.MULTILINE)


class Licences(Task):
    """The kind of a licence, of four: the ScanCode project's categories, merged.

    The header that names the category is taken off. Texts in other languages than English, those
    marked as superseded, and those under SHORTEST characters are left out. Licences are written
    from each other: near-duplicates are grouped, and a group is on one side of the split. Test
    begins with one text of each group, so that its first outcomes are independent.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="licences",
        title="Licence texts, four kinds",
        description=(
            "Kind of a software or content licence: permissive, copyleft, proprietary or "
            "restricted (for example to non-commercial use). English legal text."
        ),
        labels=LABELS,
        source=f"the data files of the PyPI package {_PACKAGE} (ScanCode LicenseDB)",
        revision=f"sha256:{_SHA256[:16]},rules:{_RULES}",
        licence="CC-BY-4.0 (the collection); each text by its author",
        citation="ScanCode LicenseDB, nexB and contributors, 2024",
        natural_length=676,
        lengths=(128, 256, 512, 1024, 2048, 4096),
        balanced=False,
    )

    def prepare(self) -> None:
        """Check the package's files against their checksum and fill the cache."""
        digest = hashlib.sha256()
        for path in _files():
            data = path.read_bytes()
            digest.update(f"{path.name} {len(data)}\n".encode() + data)
        if digest.hexdigest() != _SHA256:
            raise TaskError(
                f"licences: the files in {_folder()} are damaged or another version (sha256 "
                f"{digest.hexdigest()[:12]}…, expected {_SHA256[:12]}…): reinstall {_PACKAGE} with "
                "--no-deps"
            )
        self.splits(SHORTEST, 0)

    def splits(self, length: int, seed: int) -> Splits:
        """The same texts at every length; the seed orders the training texts."""
        train, validation, test = cached("licences", self.metadata.revision, _build, watch=False)
        shuffled = list(train)
        random.Random(seed).shuffle(shuffled)
        return Splits(shuffled, validation, test)


def read(document: str) -> tuple[str, str]:
    """Return (label, text) of a file of the package; ("", "") for one that is left out."""
    parts = _DOCUMENT.match(document.replace("\r\n", "\n"))
    if not parts:
        return "", ""
    fields: dict[str, str] = dict(_FIELD.findall(parts[1]))
    label = KINDS.get(fields.get("category", ""), "")
    text = " ".join(parts[2].split())
    left_out = fields.get("is_deprecated") == "yes" or fields.get("language", "en") != "en"
    return ("", "") if left_out or not label or len(text) < SHORTEST else (label, text)


def _build() -> Splits:
    examples = []
    for path in _files():
        label, text = read(path.read_text(encoding="utf-8"))
        if label:
            examples.append(Example(path.stem, text, LABELS.index(label)))
    roots = groups(len(examples), near_duplicates(example.text for example in examples))
    members: dict[int, list[Example]] = {}
    for root, example in zip(roots, examples, strict=True):
        members.setdefault(root, []).append(example)
    return _deal(list(members.values()))


def _deal(grouped: list[list[Example]]) -> Splits:
    """Give whole groups, in an order of chance, to test and validation until they have enough."""
    random.Random(0).shuffle(grouped)
    parts: dict[str, list[list[Example]]] = {"test": [], "validation": [], "train": []}
    sizes: Counter[str] = Counter()
    for group in grouped:
        open_parts = (
            p for p, most in (("test", TEST), ("validation", VALIDATION)) if sizes[p] < most
        )
        part = "train" if len(group) > LARGE else next(open_parts, "train")
        parts[part].append(group)
        sizes[part] += len(group)
    train, validation, test = (
        [example for group in parts[part] for example in group] for part in Splits._fields
    )
    random.Random(2).shuffle(validation)
    return Splits(train, validation, _spread(test))


def _spread(test: list[Example]) -> list[Example]:
    """Shuffle, one text of each group of near-duplicates first: their outcomes are independent.

    Among the test texts alone more are tied: fewer of their phrases are common enough to be forms.
    """
    random.Random(1).shuffle(test)
    roots = groups(len(test), near_duplicates(example.text for example in test))
    first = [e for index, e in enumerate(test) if roots[index] == index]
    return first + [e for index, e in enumerate(test) if roots[index] != index]


def _folder() -> Path:
    """Where the package's texts lie. The package itself is never imported."""
    spec = importlib.util.find_spec("licensedcode")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "data" / "licenses"
        if path.is_dir():
            return path
    raise MissingData(
        "licences",
        f"the data files of {_PACKAGE}",
        f"run `make setup`, or `pip install --no-deps {_PACKAGE}`",
    )


def _files() -> list[Path]:
    return sorted(_folder().glob("*.LICENSE"))
