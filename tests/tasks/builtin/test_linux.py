"""What is stripped from a C file, archives and trees in the real layout; (slow) the real one."""

from __future__ import annotations

import io
import random
import tarfile
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import Splits, TaskError, load_task
from tasks.base import Example
from tasks.builtin.documents import linux
from tasks.builtin.documents.linux import LEAST, SHORTEST, SUBSYSTEMS, _label, strip
from tasks.lib.rows import deal_folders

SOURCE = """// SPDX-License-Identifier: GPL-2.0
/*
 * A driver for "things".
 */
#include <linux/usb.h>
  # include "local.h"
#define URL "http://x/*no comment*/" /* a comment */

static char c = '"'; // real "comment
static char *s = "a \\"quoted\\" // thing";
int f(void)
{
\treturn 1 /* one */ + 2;\t
}
MODULE_AUTHOR("Somebody <a@b>");
MODULE_DESCRIPTION("USB driver "
\t\t   "of things");
MODULE_DEVICE_TABLE(usb, ids);
"""
LEFT = """#define URL "http://x/*no comment*/"
static char c = '"';
static char *s = "a \\"quoted\\" // thing";
int f(void)
{
\treturn 1   + 2;
}"""


def _code(draw: random.Random, size: int = 4000) -> str:
    lines = []
    while sum(map(len, lines)) < size:
        name, value = draw.randrange(10**6), draw.randrange(10**6)
        lines.append(f"int field_{name} = convert_{value}(state_{draw.randrange(10**6)});\n")
    return "".join(lines)


def _tree_of(folders: int = 12, files: int = 3) -> dict[str, str]:
    """Paths and contents of a small kernel: files enough, and some that are to be left out."""
    draw = random.Random(0)
    made = {
        f"{name}/part{folder}/file{number}.c": f"/* {name} */\n#include <x.h>\n{_code(draw)}"
        for name in SUBSYSTEMS
        for folder in range(folders)
        for number in range(files)
    }
    short = {"fs/short.c": "int x;\n", "fs/comment.c": "/*" + "long comment " * 500 + "*/"}
    other = {"fs/head.h": _code(draw), "mm/slab.c": _code(draw), "drivers/tty/n.c": _code(draw)}
    return made | short | other | {"Makefile": "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 7\n"}


def _archive_of(files: dict[str, str], path: Path) -> Path:
    with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"linux-6.1/{name}")
            data = text.encode()
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("linux-6.1/fs/link.c")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _archive_of(_tree_of(), tmp_path_factory.mktemp("kernel") / "linux-6.1.tar.xz")


def test_what_is_stripped_from_a_c_file() -> None:
    assert strip(SOURCE) == LEFT
    assert strip(SOURCE.replace("\n", "\r\n")) == LEFT
    assert strip("int x; /* open") == "int x; /* open"
    assert strip("") == ""
    assert strip("struct net *net; int netdev, is_usb; usb = fs;") == (
        "struct  *; int netdev, is_usb;  = ;"
    )


@pytest.mark.parametrize(
    ("path", "subsystem"),
    [
        ("fs/ext4/inode.c", "fs"),
        ("net/core/dev.c", "net"),
        ("drivers/net/tun.c", "drivers/net"),
        ("drivers/gpu/drm/amd/a.c", "drivers/gpu"),
        ("drivers/tty/serial/a.c", ""),
        ("tools/net/a.c", ""),
        ("fs/ext4/ext4.h", ""),
        ("drivers.c", ""),
    ],
)
def test_the_subsystem_of_a_path(path: str, subsystem: str) -> None:
    assert _label(path) == (SUBSYSTEMS.index(subsystem) if subsystem else -1)


def _read(source: Path, monkeypatch: pytest.MonkeyPatch) -> Splits:
    monkeypatch.setenv("LINUX_SOURCE", str(source))
    task = load_task("linux")
    task.prepare()
    return task.splits(1024, 0)


def test_an_archive(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = _read(small, monkeypatch)
    files = _tree_of()
    everything = [example for part in splits for example in part]
    assert {e.id for e in everything} == {n for n in files if "part" in n}
    for example in everything:
        assert example.text == strip(files[example.id])
        assert example.id.startswith(f"{SUBSYSTEMS[example.label]}/")
    sides = [{example.id.rpartition("/")[0] for example in part} for part in splits]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 120
    assert [len(part) for part in splits] == [240, 30, 90]


def test_a_tree_and_other_archives_are_the_same(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _read(small, monkeypatch)
    for name, text in _tree_of().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    outside = small.with_name("outside.c")
    outside.write_text(_code(random.Random(1)), encoding="utf-8")
    (tmp_path / "fs" / "link.c").symlink_to(outside)
    assert _read(tmp_path, monkeypatch) == expected
    assert linux._revision().startswith("tree of 6.1.7,")
    assert _read(_archive_of(_tree_of(), tmp_path / "k.tar.gz"), monkeypatch) == expected


def test_copies_go_and_the_test_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _tree_of()
    first = _read(_archive_of(files, tmp_path / "a.tar.gz"), monkeypatch)
    held, copied = first.test[0].id, first.train[0].id
    files[copied] = files[held]
    second = _read(_archive_of(files, tmp_path / "b.tar.gz"), monkeypatch)
    assert held in {example.id for example in second.test}
    assert {e.id for e in first.train} - {e.id for e in second.train} == {copied}


def _peak(work: Callable[[], object]) -> int:
    work()  # what is imported the first time is not counted
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_files_pass_through_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading four times the files takes no more memory, nor does keeping as many of them."""
    monkeypatch.setattr(linux, "MOST", LEAST)
    reading, building = [], []
    for folders in (8, 32):
        files = _tree_of(folders) | {f"Documentation/{i}.rst": "" for i in range(folders * 300)}
        source = _archive_of(files, tmp_path / f"{folders}.tar")
        monkeypatch.setenv("LINUX_SOURCE", str(source))
        reading.append(_peak(lambda: sum(len(data) for _, _, data in linux._files())))
        building.append(_peak(linux._build))
    assert reading[1] < 1.3 * reading[0]
    assert building[1] < 1.3 * building[0]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "damaged or cannot be read"),
        (lambda data: data[:2000] + bytes(100) + data[2100:], "damaged or cannot be read"),
        (lambda data: b"no archive at all" * 100, "damaged or cannot be read"),
        (lambda data: b"", "damaged or cannot be read"),
    ],
)
def test_damage_is_named(
    damage: object, message: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(damage)
    path = tmp_path / "linux-source-6.1.tar.xz"
    path.write_bytes(damage(small.read_bytes()))
    with pytest.raises(TaskError, match=message) as error:
        _read(path, monkeypatch)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_other_things_are_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: text for name, text in _tree_of().items() if not name.startswith("sound")}
    with pytest.raises(TaskError, match=r"fewer than 20 .* of sound"):
        _read(_archive_of(few, tmp_path / "few.tar.gz"), monkeypatch)
    with pytest.raises(TaskError, match=r"none \(from \$LINUX_SOURCE\).*apt-get"):
        _read(tmp_path / "none", monkeypatch)


def test_nothing_in_usr_src_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINUX_SOURCE", raising=False)
    monkeypatch.setattr(linux, "_source", lambda: None)
    with pytest.raises(
        TaskError, match=r"no kernel source in /usr/src\): install the Debian package"
    ):
        load_task("linux").prepare()


def test_directories_are_dealt_whole() -> None:
    examples = [Example(f"fs/{i}/{j}.c", "x", 0) for i in range(60) for j in range(i % 5 + 1)]
    parts = deal_folders(examples)
    sides = [{example.id.rpartition("/")[0] for example in part} for part in parts.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 60
    assert len(parts["test"]) == pytest.approx(0.25 * len(examples), abs=5)
    assert len(parts["validation"]) == pytest.approx(0.1 * len(examples), abs=5)
    assert deal_folders(examples[::-1]) == parts
    assert deal_folders([Example("only/a", "x", 0)])["train"]


@pytest.mark.slow
def test_the_real_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where it is installed: `make setup` does not bring it."""
    monkeypatch.delenv("LINUX_SOURCE", raising=False)
    if linux._source() is None:
        pytest.skip("no kernel source in /usr/src")
    splits = load_task("linux").splits(1024, 0)
    for part, least in zip(splits, (200, 25, 75), strict=True):
        counts = Counter(example.label for example in part)
        assert min(counts[label] for label in range(10)) >= least
    for example in splits.test:
        assert SHORTEST <= len(example.text) <= linux.LONGEST
        assert "#include" not in example.text
        assert "MODULE_LICENSE" not in example.text
