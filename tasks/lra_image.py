"""Image of the Long Range Arena: CIFAR-10 in grey, a token a pixel."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.base import Example, Splits, TaskError, TaskMetadata
from tasks.hub import _HubTask, hub_metadata
from tasks.pins import pin
from tasks.pixels import pixel_texts
from tasks.release import find
from tasks.rows import Rows, shuffled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REPOSITORY = "uoft-cs/cifar10"
REVISION = "0b2714987fa478483af9968de7c934580d0bb9a2"
SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE
"""Bytes of an image in the binary version: its label, then the red, green and blue pixels."""

BATCHES, TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), "test_batch"
"""Files of the binary version, without their ending."""

CUT = 10
"""One in so many training images validates: 45,000 / 5,000 / 10,000."""

_NAMES = "airplane automobile bird cat deer dog frog horse ship truck"


class LraImage(_HubTask):
    """CIFAR-10 through luma (0.299 R + 0.587 G + 0.114 B), row by row, 26 grey levels as letters.

    Read from the binary version, unpacked under $LRA_DATA, else from the hub. The Python version
    is pickled and is refused.
    """

    repository, revision, configuration = REPOSITORY, REVISION, "plain_text"
    parts = ("train", "", "test")
    columns = ("img", "label")
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="lra_image",
        title="Image (Long Range Arena): CIFAR-10 in grey",
        description="What a small photograph shows, a token a pixel.",
        labels=tuple(_NAMES.split()),
        repository=REPOSITORY,
        commit=REVISION,
        licence="not stated by its publishers",
        citation="Tay et al., Long Range Arena, ICLR 2021; Krizhevsky, 2009",
        natural_length=SIDE * SIDE + 2,
        lengths=(SIDE * SIDE + 2,),
        min_length=SIDE * SIDE + 2,
        balanced=True,
    )

    def pinned(self) -> str:
        """A checksum of the binary version's files, if they are read; else as of any hub task."""
        folder = _binary()
        if not folder:
            return super().pinned()
        return pin("lra_image", [folder / f"{name}.bin" for name in (*BATCHES, TEST)], folder)

    def splits(self, length: int, seed: int) -> Splits:
        """The same images at every length; the seed orders train."""
        folder = _binary()
        if folder:
            train = [_records(folder / f"{name}.bin") for name in BATCHES]
            return self._three(train, [_records(folder / f"{TEST}.bin")], seed)
        return super().splits(length, seed)

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """An image of the hub: decoded by the datasets library, or its file's bytes."""
        import numpy as np
        from PIL import Image

        image = row["img"]
        if isinstance(image, dict):
            image = Image.open(io.BytesIO(image["bytes"]), formats=["PNG"])
        pixels = np.asarray(image.convert("RGB"))
        if pixels.shape != (SIDE, SIDE, 3):
            raise ValueError(f"an image of {pixels.shape[1]} x {pixels.shape[0]} pixels")
        return Example(name, grey_text(pixels.reshape(-1, 3)), self.label(row["label"]))

    def _three(
        self, train: list[NDArray[np.uint8]], test: list[NDArray[np.uint8]], seed: int
    ) -> Splits:
        def rows(name: str, batches: list[NDArray[np.uint8]], order: Any) -> Rows:
            size = len(batches[0])

            def make(number: int) -> Example:
                record = batches[number // size][number % size]
                text = grey_text(record[1:].reshape(3, -1).T)
                return Example(f"{name}-{number}", text, self.label(record[0]))

            return Rows(make, order)

        if len({len(batch) for batch in train}) > 1:
            raise TaskError("lra_image: the five data_batch files are not of one size")
        numbers = shuffled(range(sum(map(len, train))), 0)
        held = max(1, len(numbers) // CUT)
        return Splits(
            rows("train", train, shuffled(numbers[held:], seed)),
            rows("train", train, numbers[:held]),
            rows("test", test, shuffled(range(len(test[0])), 0)),
        )


def grey_text(pixels: NDArray[np.uint8]) -> str:
    """Write pixels of shape (1024, 3), red, green and blue, as one text of letters."""
    import numpy as np

    # In whole numbers: sums of floats round one way or the other by how the array lies in memory.
    luma = (pixels.astype(np.int64) @ np.array([299, 587, 114]) + 500) // 1000
    return pixel_texts(luma.astype(np.uint8)[None])[0]


def _binary() -> Path | None:
    """The binary version's folder, if the user has it."""
    if not os.environ.get("LRA_DATA"):
        return None
    try:
        return find("lra_image", "cifar-10-batches-bin")
    except TaskError:
        pass
    try:
        pickled = find("lra_image", "cifar-10-batches-py")
    except TaskError:
        return None
    raise TaskError(
        f"lra_image: {pickled} is the Python version, which is pickled and not read: unpack the "
        "binary version (cifar-10-binary.tar.gz, from the same page) beside it"
    )


def _records(path: Path) -> NDArray[np.uint8]:
    """The images of a file, of shape (n, RECORD), mapped into memory and not read."""
    import numpy as np

    try:
        size = path.stat().st_size
        if not size or size % RECORD:
            raise TaskError(
                f"lra_image: {path} has {size} bytes, no multiple of {RECORD}: unpack it again"
            )
        return np.memmap(path, np.uint8, "r").reshape(-1, RECORD)
    except OSError as error:
        raise TaskError(f"lra_image: {path} cannot be read: {error.strerror}") from None
