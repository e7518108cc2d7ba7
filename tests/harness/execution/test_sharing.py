"""`--share`: machines that share an fsspec address only."""

from __future__ import annotations

import uuid
from pathlib import Path

import fsspec
import pytest

from harness.cli.main import main
from harness.core.errors import BadInput
from harness.core.folder import CELLS, RunFolder, read_run
from harness.execution.sharing import SharedResults

SWEEP = """\
name: shared
backbone: minilm
tasks: [newsgroups]
lengths: [16]
methods: [head]
seeds: [0, 1]
train: {examples: 8, validation_examples: 4, test_examples: 8}
dtype: float32
"""


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / CELLS).glob("*.json")}


def test_two_machines_do_each_cell_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(SWEEP)
    address = f"file://{tmp_path}/bucket/run"
    call = ["run", "x.yaml", "--no-cost", "--share", address, "--workers", "1"]
    with monkeypatch.context() as killed:  # before its end, so only cells copy their files
        killed.setattr(SharedResults, "exchange", lambda *_: None)
        assert main([*call, "--out", "one", "--shard", "1/2"]) == 0
    first = files(tmp_path / "one")
    assert files(tmp_path / "bucket" / "run") == first
    capsys.readouterr()
    assert main([*call, "--out", "two"]) == 0
    assert f"{4 - len(first)} cells to run, {len(first)} done before" in capsys.readouterr().out
    both = files(tmp_path / "two")
    assert len(both) == 4
    assert both.items() > first.items()
    assert files(tmp_path / "bucket" / "run") == both
    assert main([*call, "--out", "three"]) == 0
    assert "nothing to run" in capsys.readouterr().out
    assert files(tmp_path / "three") == both
    assert "Head only" in (tmp_path / "three" / "results.csv").read_text()


@pytest.fixture
def bucket() -> str:
    return f"memory://{uuid.uuid4().hex}"


def cell_files(folder: Path, **content: str) -> Path:
    (folder / CELLS).mkdir(parents=True)
    for name, text in content.items():
        (folder / CELLS / f"{name}.json").write_text(text)
    return folder


def test_nothing_is_replaced_on_either_side(tmp_path: Path, bucket: str) -> None:
    one = cell_files(tmp_path / "one", a="a of one", b="b of one")
    other = cell_files(tmp_path / "other", b="b of other", c="c of other")
    for folder in (one, other, one):
        shared = SharedResults(bucket)
        shared.exchange(folder)
        assert shared.lost == ""
    assert files(one) == {
        "a.json": b"a of one", "b.json": b"b of one", "c.json": b"c of other"
    }  # fmt: skip
    assert files(other)["b.json"] == b"b of other"
    shared.give(other / CELLS / "b.json")
    there = fsspec.filesystem("memory")
    assert there.cat_file(f"{bucket.removeprefix('memory:/')}/{CELLS}/b.json") == b"b of one"


def test_a_bucket_without_the_folder_is_empty(tmp_path: Path, bucket: str) -> None:
    shared = SharedResults(bucket)
    place = f"{bucket.removeprefix('memory:/')}/{CELLS}"
    fsspec.filesystem("memory").rmdir(place)
    shared.exchange(cell_files(tmp_path / "one", a="a"))
    assert shared.lost == ""
    assert fsspec.filesystem("memory").cat_file(f"{place}/a.json") == b"a"


def test_no_bucket_is_made(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there, name = fsspec.filesystem("memory"), bucket.removeprefix("memory://")
    monkeypatch.setattr(fsspec, "url_to_fs", lambda _: (there, f"{name}/run"))  # as with s3://
    with pytest.raises(BadInput, match=f"there is no bucket {name}"):
        SharedResults(f"s3://{name}/run")
    assert not there.exists(name)
    with monkeypatch.context() as limited:  # rights to a part of the bucket
        limited.setattr(there, "info", lambda _: (_ for _ in ()).throw(PermissionError()))
        assert SharedResults(f"s3://{name}/run").lost == ""
    there.mkdir(name)
    assert SharedResults(f"s3://{name}/run").lost == ""


def test_foreign_names_are_not_taken(tmp_path: Path, bucket: str) -> None:
    shared, there = SharedResults(bucket), fsspec.filesystem("memory")
    for name in ("notes.txt", ".hidden.json", "x.sh"):
        there.pipe_file(f"{bucket.removeprefix('memory:/')}/{CELLS}/{name}", b"x")
    folder = cell_files(tmp_path / "one")
    shared.exchange(folder)
    assert files(folder) == {}


def test_a_lost_address_does_not_stop_the_run(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cell_files(tmp_path / "one", a="a")
    shared = SharedResults(bucket)
    with monkeypatch.context() as broken:
        broken.setattr(shared._files, "open", lambda *_: (_ for _ in ()).throw(OSError("no route")))
        shared.give(folder / CELLS / "a.json")
    assert shared.lost == "no route"
    shared.exchange(folder)
    assert shared.lost == ""
    shared.exchange(cell_files(tmp_path / "two"))
    assert files(tmp_path / "two") == files(folder)


def test_each_written_result_is_named(tmp_path: Path) -> None:
    run = read_run(Path("published/cost"))
    seen: list[Path] = []
    with RunFolder(tmp_path / "run", seen.append) as held:
        result = next(iter(run.results.values()))
        assert [held.write_result(result), held.write_result(result)] == seen
    assert [path.name for path in seen] == [f"{result.id}.json", f"{result.id}.retry1.json"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nosuch://bucket/run", "nosuch"),
        ("s3://user:secret@bucket/run", "s3fs"),
        ("file:///proc/nosuch/run", "cannot be used"),
    ],
)
def test_addresses_that_cannot_be_used(address: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        SharedResults(address)
    assert "secret" not in str(caught.value)
