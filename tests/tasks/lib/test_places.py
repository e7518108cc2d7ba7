"""A folder that a variable names is the one that is read, or the sweep is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks import TaskError, load_task
from tests.tasks.hub_folder import HUB, write
from tests.tasks.release_folder import listops, papers, paths, photos, reviews


@pytest.fixture
def cached_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None) -> Path:
    """IMDb in the hub's own cache, so that it could be read from there."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    revision = HUB["imdb"].revision
    assert revision
    place = cache / "datasets--stanfordnlp--imdb" / "snapshots"
    write(place, "imdb", 40)
    (place / "stanfordnlp" / "imdb").rename(place / revision)
    return tmp_path


def _refused(name: str, folder: Path | str, *words: str) -> None:
    for use in (lambda: load_task(name).prepare(), lambda: load_task(name).data_version()):
        with pytest.raises(TaskError) as error:
            use()
        message = str(error.value)
        assert message.startswith(f"{name}: ")
        assert message.isprintable()
        for word in (str(folder), *words):
            assert word in message


@pytest.mark.parametrize("below", ["typo", "file"])
def test_a_hub_folder_that_is_none_is_refused(
    below: str, cached_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cached_repository / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("BENCH_LONG_HUB", str(cached_repository / below))
    for name in ("imdb", "lra_text"):
        _refused(name, cached_repository / below, "$BENCH_LONG_HUB", "stanfordnlp/imdb", "unset")


@pytest.mark.parametrize("depth", ["stanfordnlp", "stanfordnlp/imdb", ".."])
def test_a_hub_folder_too_deep_or_too_high_is_refused_with_the_right_one(
    depth: str, cached_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = cached_repository / "data" / "own"
    write(own, "imdb", 40)
    given = (own / depth).resolve()
    monkeypatch.setenv("BENCH_LONG_HUB", str(given))
    _refused("imdb", given, "$BENCH_LONG_HUB", f"did you mean {own}?")
    monkeypatch.setenv("BENCH_LONG_HUB", str(own))
    assert load_task("imdb").data_version().startswith("files:")


def test_an_empty_hub_folder_is_refused(
    cached_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cached_repository / "empty").mkdir()
    monkeypatch.setenv("BENCH_LONG_HUB", str(cached_repository / "empty"))
    _refused("imdb", cached_repository / "empty", "$BENCH_LONG_HUB", "hf download")


def test_some_repositories_may_be_in_the_folder_and_others_in_the_cache(
    cached_repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Which is read is said: the name of the one below may be mistyped."""
    caplog.set_level("INFO", "tasks.progress")
    own = cached_repository / "own"
    write(own, "race", 40)
    monkeypatch.setenv("BENCH_LONG_HUB", str(own))
    task = load_task("imdb")
    task.prepare()
    assert task.data_version() == task.metadata.revision
    said = [line for line in caplog.messages if "$BENCH_LONG_HUB" in line]
    assert len(said) == 1
    assert said[0].startswith("imdb: ")
    assert str(own) in said[0]


def test_a_home_folder_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "own", "imdb", 40)
    monkeypatch.setenv("BENCH_LONG_HUB", "~/own")
    monkeypatch.setenv("BENCH_LONG_CACHE", "~/kept")
    load_task("imdb").prepare()
    assert (tmp_path / "kept" / "hub").is_dir()
    paths(tmp_path / "own", 32, 2)
    monkeypatch.setenv("LRA_DATA", "~/own")
    assert load_task("lra_pathfinder").data_version().startswith("files:")
    monkeypatch.setenv("LINUX_SOURCE", "~/kernel")
    with pytest.raises(TaskError, match=f"{tmp_path}/kernel .*LINUX_SOURCE"):
        load_task("linux").prepare()


@pytest.mark.parametrize("depth", ["", "lra_release"])
def test_two_copies_of_a_release_are_refused_at_every_depth(
    depth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three copies: as deep as the variable may point, two are in its reach."""
    places = [tmp_path / place for place in ("", "lra_release", "lra_release/lra_release")]
    for place in places:
        paths(place, 128, 1)
    monkeypatch.setenv("LRA_DATA", str(tmp_path / depth))
    first, second = (place / "pathfinder128" for place in (places[1:] if depth else places)[:2])
    _refused("lra_pathx", tmp_path / depth, "$LRA_DATA", str(first), str(second))
    shutil.rmtree(first)
    if not depth:
        shutil.rmtree(places[2] / "pathfinder128")
    assert load_task("lra_pathx").data_version().startswith("files:")


def test_a_link_to_the_same_copy_is_no_second_one(release: Path) -> None:
    paths(release / "lra_release", 128, 1)
    (release / "pathfinder128").symlink_to(release / "lra_release" / "pathfinder128")
    assert load_task("lra_pathx").data_version().startswith("files:")


def test_two_copies_of_an_archive_are_not_passed_over_for_the_hub(release: Path, hub: Path) -> None:
    write(hub, "imdb", 40)
    reviews(release)
    shutil.copytree(release / "lra_release" / "aclImdb", release / "aclImdb")
    _refused("lra_text", release, "$LRA_DATA", str(release / "lra_release" / "aclImdb"))
    photos(release)
    shutil.copytree(
        release / "cifar-10-batches-bin", release / "lra_release" / "cifar-10-batches-bin"
    )
    _refused("lra_image", release, "$LRA_DATA", "cifar-10-batches-bin")


@pytest.mark.parametrize("depth", ["lra_release/aclImdb", "lra_release/aclImdb/train", ".."])
def test_a_folder_of_the_arena_too_deep_or_too_high_is_not_passed_over_for_the_hub(
    depth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    own = tmp_path / "data" / "own"
    reviews(own)
    monkeypatch.setenv("BENCH_LONG_HUB", str(tmp_path))
    write(tmp_path, "imdb", 40)
    given = (own / depth).resolve()
    monkeypatch.setenv("LRA_DATA", str(given))
    _refused("lra_text", given, "$LRA_DATA")


@pytest.mark.parametrize(
    ("name", "make", "moved"),
    [("lra_listops", listops, "listops"), ("lra_retrieval", papers, "aan")],
)
def test_files_of_one_task_lie_in_one_folder(
    name: str, make: object, moved: str, release: Path
) -> None:
    path = make(release)  # type: ignore[operator]
    other = path.parents[1] / moved
    other.mkdir()
    path.rename(other / path.name)
    _refused(name, path.parent, str(other), "not in one folder")


def test_the_cache_is_tried_before_minutes_of_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.lib.cache import cached

    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "file"))

    def build() -> object:
        raise AssertionError("built for nothing")

    with pytest.raises(TaskError, match=rf"^t: .*{tmp_path}/file .*BENCH_LONG_CACHE"):
        cached("t", "k", build)  # type: ignore[arg-type]


def test_without_a_home_folder_the_variable_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.lib.cache import cache_folder, kept

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("BENCH_LONG_CACHE")
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(TaskError, match=r"^t: .*BENCH_LONG_CACHE"):
        cache_folder("t")
    assert kept("t", "k", lambda: b"made") == b"made"


@pytest.mark.parametrize("name", ["stanfordnlp/IMDB", "stanfordnpl/imdb", "stanford-nlp/imdb"])
def test_a_misspelt_repository_beside_another_is_refused(
    name: str, cached_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache has the data, and the user's own would be passed over."""
    own = cached_repository / "own"
    write(own, "race", 40)
    (own / name).mkdir(parents=True)
    monkeypatch.setenv("BENCH_LONG_HUB", str(own))
    _refused("imdb", own / name, "stanfordnlp/imdb", "$BENCH_LONG_HUB")
    load_task("race").prepare()
