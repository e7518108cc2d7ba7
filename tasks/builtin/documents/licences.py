"""Licence texts, classified by kind. The beginning of a text is often enough."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from pathlib import Path
from typing import ClassVar

from tasks.base import Example, Splits, Task, TaskMetadata
from tasks.lib.cache import cached
from tasks.lib.duplicates import groups, near_duplicates
from tasks.lib.packages import check_digest, package_path
from tasks.lib.rows import shuffle_train

KINDS = {
    "Permissive": "permissive",
    "Copyleft": "copyleft",
    "Copyleft Limited": "copyleft",
    "Proprietary Free": "proprietary",
    "Commercial": "proprietary",
    "Free Restricted": "restricted",
    "Source-available": "restricted",
}
"""The package's category -> label. Other categories (contributor agreements, …) are not used."""

LABELS = ("permissive", "copyleft", "proprietary", "restricted")

SHORTEST = 500
"""Characters of a text, at least; shorter ones are notices of a line or two."""

TEST, VALIDATION = 500, 180
"""Texts of these splits, at least."""

LARGE = 40
"""Larger groups of near-duplicates go to train, because they would fill a smaller split."""

_PACKAGE = "licensedcode-data==32.1.0"
_SHA256 = "5a1bba9f14cc7816cd8b73cd9b1947c1920a4eecdb7b86f4fa0a631885c23edb"
_RULES = "1"
"""Increase when the rules below change the result."""

_DOCUMENT = re.compile(r"---\n(.*?)^---(?:\n|\Z)(.*)", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^(category|is_deprecated|language):[ \t]*(.+?)[ \t]*$", re.MULTILINE)


class Licences(Task):
    """The kind of a licence, of four: the ScanCode project's categories, merged.

    The header that names the category is removed. Texts that are not English, deprecated, or
    shorter than SHORTEST are left out. Licences are copied from each other, so groups of
    near-duplicates stay in one split, and test begins with one text of each group.
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
        check_digest("licences", _folder(), digest.hexdigest(), _SHA256, _PACKAGE)
        self.splits(SHORTEST, 0)

    def splits(self, length: int, seed: int) -> Splits:
        """The same texts at every length; the seed orders the training texts."""
        splits = cached("licences", self.metadata.revision, _build, watch=False)
        return shuffle_train(splits, seed)


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
    """Deal whole groups in random order to test and validation until these are large enough."""
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
    """Shuffle, with one text of each group of near-duplicates first.

    Groups are computed on the test texts alone, where fewer phrases count as boilerplate.
    """
    random.Random(1).shuffle(test)
    roots = groups(len(test), near_duplicates(example.text for example in test))
    first = [e for index, e in enumerate(test) if roots[index] == index]
    return first + [e for index, e in enumerate(test) if roots[index] != index]


def _folder() -> Path:
    return package_path("licences", _PACKAGE, "licensedcode", "data", "licenses")


def _files() -> list[Path]:
    return sorted(_folder().glob("*.LICENSE"))
