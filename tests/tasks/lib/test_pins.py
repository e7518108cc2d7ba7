"""Data is pinned by what its files hold, never by a commit or a release that is only named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import TaskError, card, load_task
from tasks.lib.pins import pin
from tests.tasks.hub_folder import HUB, write, write_rows
from tests.tasks.release_folder import MAKE


def _in_the_cache(
    name: str, folder: Path, commit: str, monkeypatch: pytest.MonkeyPatch, rows: int = 40
) -> Path:
    """The snapshot of a task's repository as `hf download` leaves it."""
    monkeypatch.delenv("BENCH_LONG_HUB", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    repository = HUB[name].repository
    place = folder / f"datasets--{repository.replace('/', '--')}" / "snapshots"
    write(place, name, rows)
    (place / repository).rename(place / commit)
    return place / commit


@pytest.mark.parametrize("name", ["race", "imdb", "lra_text", "glue_rte"])
def test_a_folder_of_the_user_is_not_the_commit(name: str, hub: Path) -> None:
    source = "imdb" if name == "lra_text" else name
    write(hub, source, 40)
    pinned = load_task(name).data_version()
    assert pinned.startswith("files:")
    write(hub, source, 42)
    other = load_task(name).data_version()
    assert other.startswith("files:")
    assert other != pinned


def test_the_commit_is_that_of_the_hubs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    revision = HUB["imdb"].revision
    assert revision
    snapshot = _in_the_cache("imdb", tmp_path / "cache", revision, monkeypatch)
    assert load_task("imdb").data_version() == load_task("imdb").metadata.revision == revision
    # The same files in a folder that only looks like it: nobody says that it is that commit.
    monkeypatch.setenv("BENCH_LONG_HUB", str(tmp_path / "mine"))
    (tmp_path / "mine" / "stanfordnlp").mkdir(parents=True)
    (tmp_path / "mine" / "stanfordnlp" / "imdb").symlink_to(snapshot)
    assert load_task("imdb").data_version().startswith("files:")


def test_where_no_commit_is_asked_for_it_is_the_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = _in_the_cache("pg19", tmp_path, commit, monkeypatch)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(commit, encoding="utf-8")
    assert load_task("pg19").data_version() == f"commit:{commit}"


def test_files_of_one_size_and_time_are_told_apart(hub: Path) -> None:
    """As an archive leaves them; neither the pin nor the rows may be those of the file before."""
    first = write(hub, "imdb", 20)
    found = []
    for letter in "ab":
        rows = [{"text": f"{letter} text {i:02}", "label": i % 2} for i in range(20)]
        for file in first.parent.glob("*.parquet"):
            write_rows(file, rows)
            os.utime(file, (1e9, 1e9))
        size = first.stat().st_size
        task = load_task("imdb")
        found.append((size, task.data_version(), task.splits(64, 0).test[0].text[0]))
    (size_a, pin_a, text_a), (size_b, pin_b, text_b) = found
    assert size_a == size_b
    assert (text_a, text_b) == ("a", "b")
    assert pin_a != pin_b


@pytest.mark.parametrize("name", MAKE)
def test_other_files_of_the_release_are_another_pin(name: str, release: Path) -> None:
    path = MAKE[name](release)
    before = load_task(name).data_version()
    assert before.startswith("files:")
    assert load_task(name).data_version() == before
    if path.suffix == ".bin":  # another pixel, as many bytes
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.write_bytes(data)
    else:  # cut short by whole lines
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert load_task(name).data_version() != before


def test_images_are_pinned_by_their_lists_and_sizes(release: Path) -> None:
    path = MAKE["lra_pathfinder"](release)
    before = load_task("lra_pathfinder").data_version()
    image = path.parents[1] / "imgs" / "3" / "sample_7.png"
    whole = image.read_bytes()
    image.write_bytes(whole[:-1])
    assert load_task("lra_pathfinder").data_version() != before
    image.write_bytes(whole)
    assert load_task("lra_pathfinder").data_version() == before
    image.unlink()
    with pytest.raises(TaskError, match=r"^lra_pathfinder: .*sample_7.png .*unpack it again"):
        load_task("lra_pathfinder").data_version()


@pytest.mark.parametrize("name", ["lra_listops", "lra_retrieval"])
def test_a_file_that_ends_within_a_line_is_named(name: str, release: Path) -> None:
    """By chance alone the first and the last example of a shuffled split are not that line."""
    path = MAKE[name](release)
    *lines, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, last[: 100 if name == "lra_listops" else 5]]))
    with pytest.raises(TaskError, match=f"line {len(lines) + 1}: not ") as error:
        load_task(name).prepare()
    assert str(path) in str(error.value)


def test_a_card_says_what_the_data_is_pinned_by(hub: Path) -> None:
    write(hub, "imdb", 40)
    task = load_task("imdb")
    made = card.task_card(task, lambda text: [(0, len(text))], [64])
    assert made["revision"] == task.data_version() != task.metadata.revision


def test_a_pin_is_of_names_and_contents_not_of_the_place(tmp_path: Path) -> None:
    def made(folder: str, files: dict[str, str]) -> str:
        base = tmp_path / folder
        for name, text in files.items():
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_text(text, encoding="utf-8")
        return pin("t", [base / name for name in files], base)

    one = made("one", {"x/a": "1", "b": "2"})
    assert one.startswith("files:")
    assert made("two", {"x/a": "1", "b": "2"}) == one
    others = [{"x/a": "2", "b": "1"}, {"x/c": "1", "b": "2"}, {"x/a": "12", "b": ""}, {"x/a": "1"}]
    assert len({one, *(made(f"other{i}", files) for i, files in enumerate(others))}) == 5


def test_a_pin_is_read_once_and_again_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    monkeypatch.setattr("tasks.lib.pins._digest", _counted(reads))
    monkeypatch.setattr("tasks.lib.pins.SETTLED", 0.0)
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = pin("t", [path], tmp_path)
    assert pin("t", [path], tmp_path) == first
    assert reads == [path]
    path.write_bytes(b"three")
    assert pin("t", [path], tmp_path) != first
    # Of a file that was written a moment ago a time says nothing: it may be written once more.
    monkeypatch.setattr("tasks.lib.pins.SETTLED", 60.0)
    for _ in range(2):
        pin("t", [path], tmp_path)
    assert reads == [path] * 4


def _counted(reads: list[Path]) -> Callable[[Path], bytes]:
    from tasks.lib.pins import _digest

    def read(path: Path) -> bytes:
        reads.append(path)
        return _digest(path)

    return read


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"^t: .*none cannot be read: No such file"):
        pin("t", [tmp_path / "none"], tmp_path)
