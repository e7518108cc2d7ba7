"""Pathfinder against a flood from dot to dot; and nothing simpler than a flood tells the label."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tasks import Example, TaskError, conformance, load_task
from tasks.builtin.synthetic import pathfinder
from tasks.builtin.synthetic.pathfinder import DASH, DOT, SIZES, images
from tasks.lib import lazy
from tests.tasks.tokens import lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Pixels = set[tuple[int, int]]


@pytest.fixture
def small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw 100 images at a time, into a cache of their own, because blocks are part of splits."""
    monkeypatch.setattr(lazy, "BLOCK", 100)
    monkeypatch.setattr(pathfinder, "_BATCH", 1000)
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path))


def regions(pixels: Pixels, reach: int) -> Iterator[Pixels]:
    """Sets of pixels that can be walked in steps of at most `reach` in either axis."""
    left = set(pixels)
    while left:
        found = {left.pop()}
        open_ends = list(found)
        while open_ends:
            y, x = open_ends.pop()
            near = {
                (y + dy, x + dx)
                for dy in range(-reach, reach + 1)
                for dx in range(-reach, reach + 1)
            } & left
            left -= near
            found |= near
            open_ends.extend(near)
        yield found


def where(mask: NDArray[np.bool_]) -> Pixels:
    return set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))


def dots(image: Image) -> list[Pixels]:
    return sorted(regions(where(image == DOT), 1), key=min)


def flood(image: Image) -> int:
    """1 if a walk over gaps of a dash's half leads from one dot to the other."""
    gap = len(image) // 32
    one, two = dots(image)
    region = next(r for r in regions(where(image > 0), gap + 1) if one & r)
    assert one <= region
    return int(two <= region)


def picture(example: Example) -> Image:
    levels = {"a": 0, chr(ord("a") + DASH * 26 // 256): DASH, "z": DOT}
    pixels = [levels[letter] for letter in example.text.split()]
    side = round(len(pixels) ** 0.5)
    return np.array(pixels, dtype=np.uint8).reshape(side, side)


@pytest.mark.parametrize(("side", "count"), [(32, 500), (64, 60), (128, 20)])
def test_a_flood_finds_every_label(side: int, count: int) -> None:
    pictures, labels = images(np.random.default_rng([side, 1]), count, side)
    assert pictures.shape == (count, side, side)
    assert Counter(labels.tolist()) == {0: count // 2, 1: count // 2}
    assert [flood(image) for image in pictures] == labels.tolist()


@pytest.mark.slow
def test_a_flood_finds_every_label_of_very_many() -> None:
    for side, count in ((32, 6000), (64, 1000), (128, 400)):
        pictures, labels = images(np.random.default_rng([side, 2]), count, side)
        assert [flood(image) for image in pictures] == labels.tolist()


def test_two_paths_of_14_dashes_and_some_of_4() -> None:
    drawings, ends = pathfinder._drawings(np.random.default_rng(3), 32)
    distractors, dashes = [], []
    for drawing, own in zip(drawings, ends, strict=True):
        found = list(regions(where(drawing > 0), 2))
        long = [region for region in found if len(region) == 28]
        assert len(long) == 2
        assert {len(region) for region in found} <= {28, 8}
        distractors.append(len(found) - 2)
        for path in own.tolist():
            assert sum({tuple(end) for end in path} <= region for region in long) == 1
        for region in long:
            dashes.append(len(list(regions(region, 1))))
    assert 2 < np.mean(distractors) < 4
    # At a sharp turn two dashes may touch at a corner, and are counted as one.
    assert max(dashes) == 14
    assert min(dashes) > 10
    assert np.mean(dashes) > 13


def test_dots_are_squares_of_three_that_lie_apart() -> None:
    pictures, _ = images(np.random.default_rng(4), 100, 32)
    for image in pictures:
        assert [len(dot) for dot in dots(image)] == [9, 9]


def statistics(image: Image) -> list[float]:
    """What a lazy reader may look at: dots, ink, paths, dashes, what stands around the dots."""
    (y1, x1), (y2, x2) = (np.mean(sorted(dot), axis=0) for dot in dots(image))
    around = [
        float((image[max(0, int(y) - 4) : int(y) + 5, max(0, int(x) - 4) : int(x) + 5] > 0).sum())
        for y, x in ((y1, x1), (y2, x2))
    ]
    lit = where(image > 0)
    counts = [len(list(regions(lit, reach))) for reach in (1, 2)]
    far = float(np.hypot(y1 - y2, x1 - x2))
    return [y1, x1, y2, x2, far, abs(y1 - y2), abs(x1 - x2), *around, len(lit), *counts]


def test_dots_are_as_far_apart_under_either_label() -> None:
    for number in range(2):
        pictures, labels = images(np.random.default_rng([5, number]), 300, 32)
        far = [int(statistics(image)[4]) for image in pictures]
        apart, same = (
            Counter(d for d, label in zip(far, labels, strict=True) if label == own)
            for own in (0, 1)
        )
        assert apart == same
        assert len(apart) > 10


@pytest.mark.slow
def test_neither_pixels_nor_simple_statistics_tell_the_label() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    splits = load_task("pathfinder_generated").splits(1026, 0)
    train, test = splits.train[:6000], splits.test[:2000]
    pictures = [np.stack([picture(e) for e in part]) for part in (train, test)]
    labels = [[example.label for example in part] for part in (train, test)]
    flat = [part.reshape(len(part), -1) / 255 for part in pictures]
    linear = LogisticRegression(C=0.01, max_iter=300).fit(flat[0], labels[0])
    assert 0.46 < linear.score(flat[1], labels[1]) < 0.54
    known = [[statistics(image) for image in part] for part in pictures]
    trees = HistGradientBoostingClassifier(max_iter=80, random_state=0).fit(known[0], labels[0])
    assert 0.46 < trees.score(known[1], labels[1]) < 0.56


def test_seeds_and_splits(small_blocks: None) -> None:
    task = load_task("pathfinder_generated")
    one, same, two = (task.splits(1026, seed) for seed in (0, 0, 1))
    assert {name: len(part) for name, part in one._asdict().items()} == SIZES
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]
    assert Counter(example.label for example in one.test[:100]) == {0: 50, 1: 50}
    assert [flood(picture(e)) for e in one.test[:100]] == [e.label for e in one.test[:100]]


def test_the_side_follows_from_the_length_and_a_pixel_is_a_token(small_blocks: None) -> None:
    task = load_task("pathfinder_generated")
    for length, side in ((1026, 32), (4097, 32), (4098, 64)):
        example = task.splits(length, 0).validation[0]
        assert lengths([example.text]) == {side * side + 2}
    with pytest.raises(TaskError, match="1025 tokens hold no image: the smallest needs 1026"):
        task.splits(1025, 0)


@pytest.mark.parametrize("length", [1026, pytest.param(4098, marks=pytest.mark.slow)])
def test_conforms(length: int, small_blocks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "MOST", 200)
    assert conformance.violations(load_task("pathfinder_generated"), length) == []


def test_it_says_that_it_is_no_published_data() -> None:
    metadata = load_task("pathfinder_generated").metadata
    assert "generated" in metadata.name
    assert "not the Long Range Arena's images" in metadata.title
    assert "not comparable with published" in metadata.description


def test_the_same_everywhere() -> None:
    """The images are pinned: a change of them must raise the revision in the metadata."""
    pictures, labels = images(np.random.default_rng(0), 60, 32)
    digest = hashlib.sha256(pictures.tobytes() + bytes(labels.tolist())).hexdigest()
    assert load_task("pathfinder_generated").metadata.revision == "generator:1"
    assert digest[:16] == "b27be7d5cb18c062"
