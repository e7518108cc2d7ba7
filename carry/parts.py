"""Files cut into parts of limited size, and joined again. Standard library only.

Each part is a folder with `list.json`, which describes all files of all parts, and pieces of files.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LIST = "list.json"
_CHUNK = 2**22


class CarryError(Exception):
    """A message of one line for the user."""


@dataclass(frozen=True)
class Piece:
    """A piece of a file: the number of its part, its name there, and its size in bytes."""

    part: int
    name: str
    size: int


@dataclass(frozen=True)
class Carried:
    """A file: its path below the joined folder, its checksum, and its pieces in order."""

    path: str
    sha256: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Cargo:
    """All files of all parts, and notes on where they come from."""

    parts: int
    files: tuple[Carried, ...]
    notes: dict[str, Any]

    def key(self) -> str:
        """A name for this content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def cut(files: dict[str, Path], to: Path, limit: int, notes: dict[str, Any]) -> list[int]:
    """Write files into the parts `to/1`, `to/2`, … of at most `limit` bytes; return their sizes.

    `files` maps the path below the joined folder to the file. Only the file that does not fit into
    the rest of a part is cut.
    """
    shutil.rmtree(to, ignore_errors=True)
    sizes = [0]
    carried: list[Carried] = []
    reserve = limit - 2**16  # for list.json
    for path, source in files.items():
        pieces: list[Piece] = []
        digest = hashlib.sha256()
        left = source.stat().st_size
        with source.open("rb") as file:
            while left or not pieces:
                if left and sizes[-1] >= reserve:
                    sizes.append(0)
                size = min(left, reserve - sizes[-1])
                piece = Piece(len(sizes), f"{len(carried):03}.{len(pieces)}", size)
                target = to / str(piece.part) / piece.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as out:
                    for data in _chunks(file, size):
                        digest.update(data)
                        out.write(data)
                pieces.append(piece)
                sizes[-1] += size
                left -= size
        carried.append(Carried(path, digest.hexdigest(), tuple(pieces)))
    cargo = Cargo(len(sizes), tuple(carried), notes)
    for number in range(1, len(sizes) + 1):
        (to / str(number) / LIST).write_text(json.dumps(asdict(cargo)), encoding="utf-8")
    return sizes


def read_list(part: Path) -> Cargo:
    """Read the list of a part.

    Raises:
        CarryError: it cannot be read.
    """
    try:
        data = json.loads((part / LIST).read_text(encoding="utf-8"))
        files = tuple(
            Carried(f["path"], f["sha256"], tuple(Piece(**piece) for piece in f["pieces"]))
            for f in data["files"]
        )
        return Cargo(data["parts"], files, data["notes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CarryError(f"{part / LIST}: cannot be read ({error}): pack again") from None


def keep(part: Path, store: Path) -> Cargo:
    """Copy the pieces of a part into the store of its cargo, and return the cargo."""
    cargo = read_list(part)
    place = store / cargo.key()
    place.mkdir(parents=True, exist_ok=True)
    for piece in (piece for file in cargo.files for piece in file.pieces):
        source = part / piece.name
        if source.is_file() and _size(place / piece.name) != piece.size:
            shutil.copyfile(source, place / f"{piece.name}.tmp")
            (place / f"{piece.name}.tmp").replace(place / piece.name)
    return cargo


def missing(cargo: Cargo, store: Path) -> list[int]:
    """Return the numbers of the parts that the store does not have completely."""
    place = store / cargo.key()
    pieces = (piece for file in cargo.files for piece in file.pieces)
    return sorted({p.part for p in pieces if _size(place / p.name) != p.size})


def join(cargo: Cargo, store: Path) -> Path:
    """Join the files of a complete cargo once, check them, and return their folder.

    Raises:
        CarryError: a file is damaged.
    """
    place = store / cargo.key()
    made = place / "joined"
    if made.is_dir():
        return made
    part = place / "joined.tmp"
    shutil.rmtree(part, ignore_errors=True)
    for file in cargo.files:
        target = part / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("wb") as out:
            for piece in file.pieces:
                with (place / piece.name).open("rb") as source:
                    for data in _chunks(source, piece.size):
                        digest.update(data)
                        out.write(data)
        if digest.hexdigest() != file.sha256:
            raise CarryError(f"{file.path}: damaged on the way: pack and send it again")
    part.replace(made)
    return made


def code_digest(root: Path) -> str:
    """A digest of the Python files that decide the outcome of cells."""
    whole = hashlib.sha256()
    for top in ("harness", "hrm", "ssmlora", "tasks"):
        for path in sorted((root / top).rglob("*.py")):
            whole.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def _chunks(file: Any, size: int) -> Any:
    while size:
        data = file.read(min(size, _CHUNK))
        if not data:
            raise CarryError(f"{file.name}: shorter than it was")
        size -= len(data)
        yield data


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
