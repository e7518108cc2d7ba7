"""Text and Image of the arena from $LRA_DATA and from the hub: the same splits; what is refused."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks import Splits, TaskError, load_task
from tasks.builtin.lra.lra_image import RECORD
from tasks.conformance import violations
from tests.tasks.hub_folder import write_rows
from tests.tasks.release_folder import photos, reviews


def _as_png(record: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, Any]:
    file = io.BytesIO()
    Image.fromarray(record[1:].reshape(3, 32, 32).transpose(1, 2, 0)).save(file, "PNG")
    return {"img": {"bytes": file.getvalue(), "path": None}, "label": int(record[0])}


def _photos_on_the_hub(binary: Path, hub: Path) -> None:
    for part, files in (("train", "data_batch_*.bin"), ("test", "test_batch.bin")):
        data = b"".join(path.read_bytes() for path in sorted(binary.glob(files)))
        records = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
        write_rows(
            hub / "uoft-cs" / "cifar10" / "plain_text" / f"{part}-0.parquet",
            [_as_png(record) for record in records],
        )


def test_images_are_split_alike_on_both_routes(
    release: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = photos(release, rows=150).parent
    _photos_on_the_hub(base, hub)
    task = load_task("lra_image")
    binary = task.splits(1026, 3)
    pinned = task.data_version()
    monkeypatch.delenv("LRA_DATA")
    from_hub = task.splits(1026, 3)
    assert task.data_version() != pinned
    assert [len(part) for part in binary] == [675, 75, 150]
    assert [list(part) for part in from_hub] == [list(part) for part in binary]


def test_a_tenth_of_the_images_validates_however_many_there_are(
    release: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """45,000 / 5,000 / 10,000: as many, of one image."""
    base = release / "cifar-10-batches-bin"
    base.mkdir()
    record = np.zeros(RECORD, np.uint8)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        with (base / f"{name}.bin").open("wb") as file:
            for _ in range(10):
                file.write(record.tobytes() * 1000)
    task = load_task("lra_image")
    binary = task.splits(1026, 0)
    row = _as_png(record)
    folder = hub / "uoft-cs" / "cifar10" / "plain_text"
    write_rows(folder / "train-0.parquet", [row] * 50_000)
    write_rows(folder / "test-0.parquet", [row] * 10_000)
    monkeypatch.delenv("LRA_DATA")
    from_hub = task.splits(1026, 0)
    assert [len(p) for p in from_hub] == [len(p) for p in binary] == [45_000, 5_000, 10_000]
    assert {e.id for e in from_hub.validation[:50]} == {e.id for e in binary.validation[:50]}


def _texts(splits: Splits) -> list[list[tuple[str, int]]]:
    return [sorted((e.text, e.label) for e in part) for part in splits]


def test_reviews_of_stanfords_archive(
    release: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = reviews(release).parents[2]
    task = load_task("lra_text")
    task.prepare()
    assert violations(task, 128) == []
    unpacked = task.splits(4098, 0)
    assert [len(part) for part in unpacked] == [90, 10, 100]
    assert unpacked.train[:9] != task.splits(4098, 1).train[:9]
    assert unpacked.test[:9] == task.splits(4098, 1).test[:9]
    for part, name in zip(unpacked, ("train", "train", "test"), strict=True):
        for example in part:
            assert example.id.startswith(f"{name}/{('neg', 'pos')[example.label]}/")
            text = (base / example.id).read_bytes().decode()
            assert example.text.startswith(" ".join(text[:20].replace(" ", "_")))
    assert len({e.id for part in unpacked for e in part}) == 200
    # The hub's rows are these files: the same reviews validate.
    for part in ("train", "test"):
        rows = [
            {"text": path.read_bytes().decode(), "label": label}
            for label, name in enumerate(("neg", "pos"))
            for path in sorted((base / part / name).glob("*.txt"))
        ]
        write_rows(hub / "stanfordnlp" / "imdb" / "plain_text" / f"{part}-0.parquet", rows)
    pinned = task.data_version()
    assert pinned.startswith("files:")
    monkeypatch.delenv("LRA_DATA")
    assert _texts(task.splits(4098, 0)) == _texts(unpacked)
    assert task.data_version() != pinned


def test_copies_of_a_review_stay_on_one_side(release: Path) -> None:
    path = reviews(release)
    folder = path.parent
    for number, file in enumerate(sorted(folder.glob("*.txt"))):
        (folder.parent / "neg" / f"9{number}_1.txt").write_bytes(file.read_bytes())
    splits = load_task("lra_text").splits(4098, 0)
    assert not {e.text for e in splits.train} & {e.text for e in splits.validation}
    assert len(splits.train) + len(splits.validation) == 150


def test_another_review_is_another_pin(release: Path) -> None:
    path = reviews(release)
    before = load_task("lra_text").data_version()
    assert load_task("lra_text").data_version() == before
    path.write_bytes(path.read_bytes().swapcase())
    assert load_task("lra_text").data_version() != before


@pytest.mark.parametrize(
    ("name", "command", "looked_for"),
    [
        ("lra_text", "hf download --repo-type dataset stanfordnlp/imdb", "aclImdb"),
        ("lra_image", "hf download --repo-type dataset uoft-cs/cifar10", "cifar-10-batches-bin"),
    ],
)
def test_what_is_missing_can_be_had_in_two_ways(
    name: str, command: str, looked_for: str, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given in (None, hub):
        monkeypatch.delenv("LRA_DATA", raising=False)
        if given:
            monkeypatch.setenv("LRA_DATA", str(given))
        with pytest.raises(TaskError) as error:
            load_task(name).prepare()
        message = str(error.value)
        assert message.startswith(f"{name}: ")
        assert command in message
        assert "$LRA_DATA" in message
        assert f"{looked_for}" in message
        assert message.isprintable()


def _replace(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def _link_out(path: Path) -> None:
    outside = path.parents[3] / "outside.txt"
    outside.write_text("a secret", encoding="utf-8")
    path.symlink_to(outside)


def _folder_elsewhere(path: Path) -> None:
    outside = path.parents[3] / "elsewhere"
    path.parent.rename(outside)
    path.parent.symlink_to(outside)


def _empty(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda path: path.parent.rename(path.parent.with_name("good")), "train/pos"),
        (lambda path: path.parents[1].rename(path.parents[2] / "learn"), "train/neg"),
        (_empty, "train/pos holds no *.txt"),
        (_replace(_link_out), "1_7.txt in {} is no plain file of a plain name"),
        (_replace(lambda path: path.mkdir()), "1_7.txt in {} is no plain file of a plain name"),
        (_replace(lambda path: os.mkfifo(path)), "1_7.txt in {} is no plain file of a plain name"),
        (_folder_elsewhere, "train/pos is a link"),
        (
            lambda path: path.rename(path.with_name("\x1b[31m1_7.txt")),
            "\\x1b[31m1_7.txt in {} is no plain file of a plain name",
        ),
    ],
)
def test_another_layout_is_named(
    damage: Callable[[Path], None], complaint: str, release: Path, hub: Path
) -> None:
    path = reviews(release)
    damage(path)
    with pytest.raises(TaskError) as error:
        load_task("lra_text").prepare()
    message = str(error.value)
    assert message.startswith("lra_text: ")
    assert complaint.format(path.parent) in message
    assert "aclImdb_v1.tar.gz" in message
    assert message.isprintable()


def test_a_review_that_is_no_text_is_named(release: Path, hub: Path) -> None:
    path = reviews(release)
    for file in path.parent.glob("*.txt"):
        file.write_bytes(b"\xff" + file.name.encode())
    splits = load_task("lra_text").splits(4098, 0)
    with pytest.raises(TaskError, match=r"^lra_text: .*train/pos/\d+_\d.txt is not UTF-8") as error:
        list(splits.train)
    assert "aclImdb_v1.tar.gz" in str(error.value)


def test_only_the_beginning_of_a_review_is_taken(release: Path) -> None:
    path = reviews(release)
    path.write_text("Bad.<br />é " * 2000, encoding="utf-8")
    splits = load_task("lra_text").splits(4098, 0)
    everything = [example for part in splits for example in part]
    (example,) = [e for e in everything if e.id == "train/pos/1_7.txt"]
    assert example.text.startswith("B a d . < b r _ / > ? ? _ B")
    assert len(example.text.split()) == 4096


def test_reviews_are_drawn_from_no_third_folder(release: Path) -> None:
    path = reviews(release)
    (path.parents[1] / "unsup").mkdir()
    (path.parents[1] / "unsup" / "0_0.txt").write_text("unlabelled", encoding="utf-8")
    (path.parent / "urls_pos.txt.bak").write_text("no review", encoding="utf-8")
    assert sum(map(len, load_task("lra_text").splits(4098, 0))) == 200


@pytest.mark.parametrize("name", ["lra_text", "lra_image", "lra_listops"])
def test_a_mistyped_folder_is_named_and_nothing_else_is_read(
    name: str, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": f"review {n}", "label": n % 2} for n in range(100)]
    for part in ("train", "test"):
        write_rows(hub / "stanfordnlp" / "imdb" / "plain_text" / f"{part}-0.parquet", rows)
    monkeypatch.setenv("LRA_DATA", str(tmp_path / "typo"))
    with pytest.raises(TaskError, match=r"typo \(from \$LRA_DATA\) is no folder"):
        load_task(name).prepare()
