"""What is kept is what was built; a file that is not whole is made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks import Example, Splits, TaskError
from tasks.lib.cache import cached, kept

SPLITS = Splits(
    [Example("a", "line\nbreak \u2028 é \ud800 \x00", 1), Example("b", "", 0)],
    [Example("c", "x", 0)],
    [],
)


class Builder:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Splits:
        self.times += 1
        return SPLITS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "deep" / "cache"))
    return tmp_path / "deep" / "cache"


def test_built_once_and_read_back_as_it_was(folder: Path) -> None:
    build = Builder()
    assert cached("t", "key", build, reads_files=False) == SPLITS
    again = cached("t", "key", build, reads_files=False)
    assert again == SPLITS
    assert isinstance(again.train[0], Example)
    assert build.times == 1
    assert [path.suffix for path in folder.iterdir()] == [".jsonl"]


def test_another_key_is_another_file(folder: Path) -> None:
    build = Builder()
    cached("t", "one", build, reads_files=False)
    cached("t", "two", build, reads_files=False)
    cached("u", "one", build, reads_files=False)
    assert build.times == 3
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.removesuffix('["end"]\n'),
        lambda text: "",
        lambda text: "[]\n" + text,
        lambda text: "3\n" + text,
        lambda text: '["train", "id"]\n' + text,
        lambda text: '["other", "id", "text", 1]\n' + text,
    ],
)
def test_a_damaged_file_is_made_again(folder: Path, damage: object) -> None:
    build = Builder()
    cached("t", "key", build, reads_files=False)
    [path] = folder.iterdir()
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")  # type: ignore[operator]
    assert cached("t", "key", build, reads_files=False) == SPLITS
    assert build.times == 2
    assert cached("t", "key", build, reads_files=False) == SPLITS
    assert build.times == 2


def test_a_build_that_fails_leaves_nothing(folder: Path) -> None:
    def fail() -> Splits:
        raise TaskError("no data")

    with pytest.raises(TaskError, match="no data"):
        cached("t", "key", fail, reads_files=False)
    assert not folder.exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(TaskError, match="BENCH_LONG_CACHE"):
        cached("t", "key", Builder(), reads_files=False)


def test_a_write_that_fails_half_way_leaves_nothing(folder: Path) -> None:
    with pytest.raises(TypeError):
        cached("t", "key", lambda: Splits([Example("a", object(), 0)], [], []), reads_files=False)  # type: ignore[arg-type]
    assert list(folder.iterdir()) == []


def test_bytes_are_kept_and_made_again_where_they_cannot_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []

    def make() -> bytes:
        made.append(b"some bytes")
        return made[-1]

    for _ in range(2):
        assert kept("t", "key", make) == b"some bytes"
    assert len(made) == 1
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"S")
    assert kept("t", "key", make) == b"some bytes"
    assert len(made) == 2
    monkeypatch.setenv("BENCH_LONG_CACHE", str(path))  # a file, and no folder
    assert kept("t", "key", make) == b"some bytes"
    assert len(made) == 3
