"""C files of the Linux kernel, classified by subsystem."""

from __future__ import annotations

import heapq
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from tasks.base import Example, MissingData, Splits, Task, TaskError, TaskMetadata
from tasks.lib.cache import cached
from tasks.lib.duplicates import without_duplicates
from tasks.lib.pins import pin
from tasks.lib.places import named_path
from tasks.lib.rows import deal_folders, shuffle_train

SUBSYSTEMS = (
    "arch",
    "drivers/gpu",
    "drivers/iio",
    "drivers/media",
    "drivers/net",
    "drivers/scsi",
    "drivers/usb",
    "fs",
    "net",
    "sound",
)

SHORTEST = 3072
"""Characters of a file after stripping, at least."""

LONGEST = 40_000
"""Characters kept of a file: more than 8192 tokens of code."""

MOST = 400
"""Files per subsystem, at most, chosen by their paths' checksums; this bounds the memory."""

LEAST = 20
"""Files per subsystem, at least; with fewer, the source is not a whole kernel tree."""

_LARGEST_FILE = 1_000_000
"""Bytes: larger files are generated tables."""

_RULES = "2"
"""Increase when the rules below change the result."""

_HOW = (
    "install the Debian package linux-source-6.1 (`apt-get install --no-install-recommends "
    "linux-source-6.1`), or name a kernel tarball or source tree in $LINUX_SOURCE"
)

_LITERALS_AND_COMMENTS = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|//[^\n]*|/\*.*?\*/', re.DOTALL
)
_INCLUDES = re.compile(r"^[ \t]*#[ \t]*include\b[^\n]*$", re.MULTILINE)
_NAMES = re.compile(rf"\b(?:{'|'.join(name.rpartition('/')[2] for name in SUBSYSTEMS)})\b")
"""Names of subsystems as separate words; `struct net` would give the label away."""
_MODULE = re.compile(r"^[ \t]*MODULE_[A-Z_]+[ \t]*\(.*?\)[ \t]*;?[ \t]*$", re.MULTILINE | re.DOTALL)


def _source() -> Path | None:
    """The tarball or tree that the user names, else the newest of Debian."""
    if given := named_path("LINUX_SOURCE"):
        return given
    return max(Path("/usr/src").glob("linux-source-*.tar.xz"), key=_numbers, default=None)


def _numbers(path: Path) -> list[int]:
    """A sort key that puts 6.10 after 6.9."""
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _revision() -> str:
    """The name of the archive or the version of the tree, and a checksum of the files.

    The checksum is kept until sizes or times of the files change. The version alone is not enough:
    a tree can be modified or incomplete.
    """
    source = _source()
    if source is None or not source.exists():
        return f"missing,rules:{_RULES}"
    if source.is_file():
        return f"{source.name},{pin('linux', [source], source.parent)},rules:{_RULES}"
    try:
        head = (source / "Makefile").read_text(encoding="utf-8", errors="replace")[:1000]
    except OSError:
        head = ""
    version = re.findall(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)", head, re.MULTILINE)
    files = pin("linux", list(_tree_files(source)), source)
    return f"tree of {'.'.join(version) or 'no version'},{files},rules:{_RULES}"


class Linux(Task):
    """The subsystem that a C file of the Linux kernel belongs to, of ten.

    Files are read from the archive one after the other; nothing is unpacked or run. Comments,
    includes and MODULE_ lines (author, description, devices) are removed. All files of a directory
    are in one split, and no two files are near-duplicates.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="linux",
        title="C files of the Linux kernel, ten subsystems",
        description=(
            "Subsystem of a C file of the Linux kernel after comments, includes, module "
            f"descriptions and the subsystems' names are stripped: {', '.join(SUBSYSTEMS)}."
        ),
        labels=SUBSYSTEMS,
        source="the Debian package linux-source-6.1, or a kernel tarball or tree in $LINUX_SOURCE",
        revision=f"a checksum of the source,rules:{_RULES}",
        licence="GPL-2.0 with the syscall note, and compatible ones by file",
        citation="none: made from the kernel's source",
        natural_length=5191,
        lengths=(256, 512, 1024, 2048, 4096, 8192),
        balanced=True,
        needs_network=True,
    )

    def prepare(self) -> None:
        """Check that the source is there and whole; fill the cache (the first time, minutes)."""
        source = _source()
        if source is None:
            raise MissingData("linux", "no kernel source in /usr/src", _HOW)
        if not source.exists():
            raise TaskError(f"linux: {source} (from $LINUX_SOURCE) does not exist: {_HOW}")
        self.splits(SHORTEST, 0)

    def version(self) -> str:
        """A checksum of the files of the source."""
        return _revision()

    def splits(self, length: int, seed: int) -> Splits:
        """The same files at every length; the seed orders the training files."""
        return shuffle_train(cached("linux", _revision(), _build, watch=False), seed)


def strip(source: str) -> str:
    """Remove comments, includes, MODULE_ lines, subsystem names and blank lines from a C file."""
    source = source.replace("\r\n", "\n")
    bare = _LITERALS_AND_COMMENTS.sub(lambda m: m[0] if m[0][0] in "\"'" else " ", source)
    bare = _NAMES.sub("", _MODULE.sub("", _INCLUDES.sub("", bare)))
    lines = (line.rstrip() for line in bare.split("\n"))
    return "\n".join(line for line in lines if line)


def _build() -> Splits:
    chosen: list[list[tuple[int, str, str]]] = [[] for _ in SUBSYSTEMS]
    for path, label, data in _files():
        heap, key = chosen[label], -zlib.crc32(path.encode())
        if len(heap) == MOST and key <= heap[0][0]:
            continue
        text = strip(data.decode("utf-8", "replace"))
        if len(text) >= SHORTEST:
            (heapq.heappushpop if len(heap) == MOST else heapq.heappush)(
                heap, (key, path, text[:LONGEST])
            )
    few = [name for name, heap in zip(SUBSYSTEMS, chosen, strict=True) if len(heap) < LEAST]
    if few:
        raise TaskError(
            f"linux: {_source()} has fewer than {LEAST} long C files of {', '.join(few)}, so it is "
            f"not a whole kernel source; {_HOW}"
        )
    parts: dict[str, list[Example]] = {part: [] for part in Splits._fields}
    for label, heap in enumerate(chosen):
        dealt = deal_folders([Example(path, text, label) for _, path, text in heap])
        for part, examples in dealt.items():
            parts[part] += examples
    return without_duplicates(parts)


def _files() -> Iterator[tuple[str, int, bytes]]:
    """Yield (path in the kernel tree, label, content) of the C files, one at a time."""
    source = _source()
    if source is None:
        raise MissingData("linux", "no kernel source in /usr/src", _HOW)
    try:
        yield from _tree(source) if source.is_dir() else _archive(source)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise TaskError(f"linux: {source} is damaged or cannot be read ({error}): {_HOW}") from None


def _archive(source: Path) -> Iterator[tuple[str, int, bytes]]:
    with tarfile.open(source, "r|*") as archive:
        while member := archive.next():
            archive.members.clear()  # type: ignore[attr-defined]  # or it keeps all 80,000
            path = member.name.partition("/")[2]
            label = _label(path)
            if label >= 0 and member.isreg() and SHORTEST <= member.size <= _LARGEST_FILE:
                content = archive.extractfile(member)
                if content:
                    yield path, label, content.read()


def _tree(source: Path) -> Iterator[tuple[str, int, bytes]]:
    for file in _tree_files(source):
        path = file.relative_to(source).as_posix()
        yield path, _label(path), file.read_bytes()


def _tree_files(source: Path) -> Iterator[Path]:
    for subsystem in SUBSYSTEMS:
        for file in sorted((source / subsystem).rglob("*.c")):
            if not file.is_symlink() and SHORTEST <= file.stat().st_size <= _LARGEST_FILE:
                yield file


def _label(path: str) -> int:
    """The label of a path; -1 for files of other subsystems."""
    first, _, rest = path.partition("/")
    name = f"{first}/{rest.partition('/')[0]}" if first == "drivers" else first
    return SUBSYSTEMS.index(name) if path.endswith(".c") and name in SUBSYSTEMS else -1
