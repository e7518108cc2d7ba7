"""The official release of the Long Range Arena, a folder that the user names in $LRA_DATA.

ListOps, Retrieval, Pathfinder and Path-X are in the release. Text and Image are not: for them the
same folder may hold their publishers' archives, unpacked as `aclImdb` and `cifar-10-batches-bin`.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from pathlib import Path

from tasks.base import MissingData, TaskError
from tasks.lib.pins import once
from tasks.lib.places import named_folder, nearby

REVISION = "a checksum of its files"
"""In the metadata, which are there before the data; `pinned` has the checksum."""

_TOPS = ("", "lra_release", "lra_release/lra_release")
"""Where the release's folders begin, by how it was unpacked."""

HELD = (
    "listops-1000",
    "listops",
    "basic_test.tsv",
    "tsv_data",
    "aan",
    "new_aan_pairs.test.tsv",
    "pathfinder32",
    "pathfinder128",
    "aclImdb",
    "cifar-10-batches-bin",
    "cifar-10-batches-py",
)
"""What $LRA_DATA may hold; a folder with none of it is not what the variable is for."""

_HOW = (
    "name in $LRA_DATA the folder into which lra_release.gz was unpacked (its address stands in "
    "the README of github.com/google-research/long-range-arena)"
)


def named(task: str) -> Path | None:
    """Return the folder that $LRA_DATA names, or None where it is not set.

    Raises:
        TaskError: it names no folder. It is mistyped, and data from elsewhere is not taken for it.
    """
    return named_folder(task, "LRA_DATA", "the unpacked release")


def holds_any(given: Path) -> bool:
    """Whether a folder holds something of the release, or an archive beside it."""
    return any((given / top / name).exists() for top in _TOPS for name in HELD)


def look(task: str, *places: str) -> Path | None:
    """Return the one of `places` that is there, each relative to the release, or None.

    Raises:
        TaskError: two are there, which may hold other data; or $LRA_DATA names no folder.
    """
    given = named(task)
    if not given:
        return None
    found: dict[Path, Path] = {}
    for top in _TOPS:
        for place in places:
            if (path := given / top / place).exists():
                found.setdefault(path.resolve(), path)
    if len(found) > 1:
        first, second, *_ = found.values()
        raise TaskError(
            f"{task}: {given} (from $LRA_DATA) holds the data twice, {first} and {second}: remove "
            "one of them, or let $LRA_DATA name a folder that holds one alone"
        )
    return next(iter(found.values()), None)


def find(task: str, *places: str) -> Path:
    """Return the one of `places` that is there, each relative to the release.

    Raises:
        TaskError: there is none, or there are two, or no $LRA_DATA.
    """
    if path := look(task, *places):
        return path
    given = named(task)
    if not given:
        raise MissingData(task, places[0], _HOW)
    near = nearby(given, places[0].partition("/")[0])
    raise MissingData(task, f"{given}, from $LRA_DATA, has no {places[0]}{near}", _HOW)


def find_files(task: str, folders: Sequence[str], names: Sequence[str]) -> list[Path]:
    """Return files of these names, all in the same one of `folders`.

    Raises:
        TaskError: one is missing, or is there twice, or they are apart.
    """
    files = [find(task, *(f"{folder}/{name}".lstrip("/") for folder in folders)) for name in names]
    for file in files:
        if file.parent != files[0].parent:
            raise TaskError(f"{task}: {files[0]} and {file} are not in one folder: {_HOW}")
    return files


class Lines(Sequence[str]):
    """The lines of a file, read one by one; only where each begins is in memory, and cached."""

    def __init__(self, path: Path, skip: int = 0) -> None:
        self.path, self._skip = path, skip
        self._starts = _starts(path)
        self._file = path.open("rb")

    def __len__(self) -> int:
        """How many lines there are after those skipped."""
        return max(0, len(self._starts) - 1 - self._skip)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]  # one line at a time
        """The line, without its end.

        Raises:
            TaskError: it is no UTF-8.
        """
        place = range(len(self))[index] + self._skip
        start, end = self._starts[place], self._starts[place + 1]
        try:
            # Not seek and read: two readers share one file.
            return os.pread(self._file.fileno(), end - start, start).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise TaskError(f"{self.path}, line {place + 1}: not UTF-8 text") from None

    def where(self, index: int) -> str:
        """The file and the number of a line, for messages."""
        return f"{self.path}, line {index + self._skip + 1}"


def _starts(path: Path) -> array[int]:
    """Where each line begins, and where the last one ends."""

    def read() -> bytes:
        starts, place = array("q", [0]), 0
        with path.open("rb") as file:
            for line in file:
                place += len(line)
                starts.append(place)
        return starts.tobytes()

    starts = array("q")
    starts.frombytes(once("lines", [path], read))
    return starts


_SIGNS = [
    "_" if byte in b" \t\r\n\v\f" else chr(byte) if 32 < byte < 127 else "?" for byte in range(256)
]


def byte_words(text: str, most: int) -> str:
    """Write a text as its bytes, one word a byte, `most` of them, as the Long Range Arena reads it.

    White space is "_" and what is not printable ASCII is "?": in BERT's WordPiece each word is one
    token (which also lower-cases letters), so a backbone made for text sees one token a byte.
    """
    data = text[:most].encode("utf-8", "surrogatepass")[:most]
    return " ".join([_SIGNS[byte] for byte in data])
