"""The official release of the Long Range Arena, in the folder $LRA_DATA.

The release contains ListOps, Retrieval, Pathfinder and Path-X. For Text and Image, the same folder
can contain their publishers' archives, unpacked as `aclImdb` and `cifar-10-batches-bin`.
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
"""The revision in the metadata; `data_version` has the checksum."""

_TOPS = ("", "lra_release", "lra_release/lra_release")
"""Possible top folders, depending on how the release was unpacked."""

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
"""Possible content of $LRA_DATA; a folder with none of it is mistyped."""

_HOW = (
    "set $LRA_DATA to the folder into which lra_release.gz was unpacked (its address is in the "
    "README of github.com/google-research/long-range-arena)"
)


def named(task: str) -> Path | None:
    """Return the folder $LRA_DATA, or None if it is not set.

    Raises:
        TaskError: it is not a folder.
    """
    return named_folder(task, "LRA_DATA", "the unpacked release")


def holds_any(given: Path) -> bool:
    """Whether a folder has any data of the release, or an archive."""
    return any((given / top / name).exists() for top in _TOPS for name in HELD)


def look(task: str, *places: str) -> Path | None:
    """Return the existing one of `places`, relative to the release, or None.

    Raises:
        TaskError: two exist, which may differ; or $LRA_DATA is not a folder.
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
    """Return the existing one of `places`, relative to the release.

    Raises:
        TaskError: none or two exist, or $LRA_DATA is not set.
    """
    if path := look(task, *places):
        return path
    given = named(task)
    if not given:
        raise MissingData(task, places[0], _HOW)
    near = nearby(given, places[0].partition("/")[0])
    raise MissingData(task, f"{given}, from $LRA_DATA, has no {places[0]}{near}", _HOW)


def find_files(task: str, folders: Sequence[str], names: Sequence[str]) -> list[Path]:
    """Return the files of these names, all in the same one of `folders`.

    Raises:
        TaskError: one is missing or exists twice, or they are in different folders.
    """
    files = [find(task, *(f"{folder}/{name}".lstrip("/") for folder in folders)) for name in names]
    for file in files:
        if file.parent != files[0].parent:
            raise TaskError(f"{task}: {files[0]} and {file} are not in one folder: {_HOW}")
    return files


class Lines(Sequence[str]):
    """The lines of a file, read on demand; only their offsets are in memory, and cached."""

    def __init__(self, path: Path, skip: int = 0) -> None:
        self.path, self._skip = path, skip
        self._starts = _starts(path)
        self._file = path.open("rb")

    def __len__(self) -> int:
        """The number of lines after those skipped."""
        return max(0, len(self._starts) - 1 - self._skip)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]  # one line at a time
        """The line, without its end.

        Raises:
            TaskError: it is not UTF-8.
        """
        place = range(len(self))[index] + self._skip
        start, end = self._starts[place], self._starts[place + 1]
        try:
            # pread, because two readers share one file.
            return os.pread(self._file.fileno(), end - start, start).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise TaskError(f"{self.path}, line {place + 1}: not UTF-8 text") from None

    def where(self, index: int) -> str:
        """The file and line number, for messages."""
        return f"{self.path}, line {index + self._skip + 1}"


def _starts(path: Path) -> array[int]:
    """The offsets of all lines, and the end of the last one."""

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
    """Write the first `most` bytes of a text as words, one per byte, as the Long Range Arena does.

    White space is "_" and a byte that is not printable ASCII is "?". Each word is one token in
    BERT's WordPiece (which also lower-cases letters).
    """
    data = text[:most].encode("utf-8", "surrogatepass")[:most]
    return " ".join([_SIGNS[byte] for byte in data])
