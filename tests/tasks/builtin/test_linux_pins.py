"""Kernel sources of one name, version or size are told apart by their files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks import Splits, TaskError, load_task
from tests.tasks.builtin.test_linux import _archive_of, _tree_of


def _laid_out(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _read(source: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Splits]:
    monkeypatch.setenv("LINUX_SOURCE", str(source))
    task = load_task("linux")
    task.prepare()
    return task.data_version(), task.splits(1024, 0)


def _texts(splits: Splits) -> set[str]:
    return {example.text for part in splits for example in part}


@pytest.mark.parametrize("makefile", [True, False])
def test_trees_of_one_version_are_told_apart(
    makefile: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _tree_of()
    if not makefile:
        del files["Makefile"]
    first, one = _read(_laid_out(tmp_path / "a", files), monkeypatch)
    # Other texts of the same sizes under the same paths.
    others = {name: text.replace("convert", "treated") for name, text in files.items()}
    second, other = _read(_laid_out(tmp_path / "b", others), monkeypatch)
    assert not _texts(one) & _texts(other)
    assert first != second
    again, same = _read(_laid_out(tmp_path / "c", files), monkeypatch)
    assert (again, same) == (first, one)


def test_a_tree_that_is_completed_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _tree_of()
    half = {name: text for name, text in files.items() if "part11" not in name}
    first, fewer = _read(_laid_out(tmp_path, half), monkeypatch)
    second, whole = _read(_laid_out(tmp_path, files), monkeypatch)
    assert len(_texts(whole)) > len(_texts(fewer))
    assert first != second


def test_files_that_are_not_read_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _tree_of()
    first, _ = _read(_laid_out(tmp_path / "a", files), monkeypatch)
    more = {**files, "fs/short.c": "int y;\n", "mm/slab.c": "int z;\n", "Kbuild": "obj-y"}
    second, _ = _read(_laid_out(tmp_path / "b", more), monkeypatch)
    assert first == second


def test_archives_of_one_name_and_size_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _tree_of()
    others = {name: text.replace("convert", "treated") for name, text in files.items()}
    found = []
    for folder, made in (("a", files), ("b", others)):
        (tmp_path / folder).mkdir()
        path = _archive_of(made, tmp_path / folder / "linux.tar")
        os.utime(path, (1e9, 1e9))
        found.append((path.stat().st_size, *_read(path, monkeypatch)))
    assert found[0][0] == found[1][0]
    assert not _texts(found[0][2]) & _texts(found[1][2])
    assert found[0][1] != found[1][1]


def test_without_a_source_the_pin_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINUX_SOURCE", str(tmp_path / "none"))
    with pytest.raises(TaskError, match=r"none \(from \$LINUX_SOURCE\)"):
        load_task("linux").prepare()
    assert load_task("linux").data_version().startswith("missing,")


def test_metadata_is_there_without_reading_the_source() -> None:
    """It is made when the module is imported: at every start, of every task."""
    assert load_task("linux").metadata.revision == "a checksum of the source,rules:2"
