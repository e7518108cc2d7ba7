"""Image of the Long Range Arena: CIFAR-10 in grey, one token per pixel."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.base import Example, Splits, TaskError, TaskMetadata
from tasks.builtin.lra.archive import _ArchiveTask
from tasks.builtin.lra.pixels import pixel_texts
from tasks.builtin.lra.release import look
from tasks.lib.convert import Stored
from tasks.lib.hub import hub_metadata
from tasks.lib.rows import Rows, shuffled

if TYPE_CHECKING:
    from array import array

    import numpy as np
    from numpy.typing import NDArray

REPOSITORY = "uoft-cs/cifar10"
REVISION = "0b2714987fa478483af9968de7c934580d0bb9a2"
SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE
"""Bytes of an image in the binary version: the label, then red, green and blue pixels."""

BATCHES, TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), "test_batch"
"""Files of the binary version, without extension."""

CUT = 10
"""One in CUT training images is for validation: 45,000 / 5,000 / 10,000."""

_NAMES = "airplane automobile bird cat deer dog frog horse ship truck"


class LraImage(_ArchiveTask):
    """CIFAR-10 as luma (0.299 R + 0.587 G + 0.114 B), row by row, in 26 grey levels.

    Read from the binary version, unpacked under $LRA_DATA, or else from the hub, which has the same
    images in the same order. The Python version is refused, because it is pickled.
    """

    repository, revision, configuration = REPOSITORY, REVISION, "plain_text"
    parts = ("train", "", "test")
    columns = ("img.bytes", "label")
    archive = "cifar-10-binary.tar.gz (from www.cs.toronto.edu/~kriz/cifar.html)"
    unpacked, held = "cifar-10-batches-bin", "{data_batch_1 to 5,test_batch}.bin"
    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="lra_image",
        title="Image (Long Range Arena): CIFAR-10 in grey",
        description="What a small photograph shows, one token per pixel.",
        labels=tuple(_NAMES.split()),
        repository=REPOSITORY,
        source=", or cifar-10-batches-bin in $LRA_DATA",
        commit=REVISION,
        licence="not stated by its publishers",
        citation="Tay et al., Long Range Arena, ICLR 2021; Krizhevsky, 2009",
        natural_length=SIDE * SIDE + 2,
        lengths=(SIDE * SIDE + 2,),
        min_length=SIDE * SIDE + 2,
        whole_texts=True,
        balanced=True,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """An image of the hub, from its bytes."""
        import numpy as np
        from PIL import Image

        image = Image.open(io.BytesIO(row["img"]["bytes"]), formats=["PNG"])
        pixels = np.asarray(image.convert("RGB"))
        if pixels.shape != (SIDE, SIDE, 3):
            raise ValueError(f"an image of {pixels.shape[1]} x {pixels.shape[0]} pixels")
        return Example(name, grey_text(pixels.reshape(-1, 3)), self.label(row["label"]))

    def _cut(self, train: Stored) -> tuple[array[int], array[int]]:
        return _tenth(len(train))

    def _read(self, folder: Path, seed: int) -> Splits:
        files = self._read_from(folder)
        paths = {"train": files[:-1], "test": files[-1:]}
        train, test = ([_records(path) for path in paths[part]] for part in ("train", "test"))

        def rows(name: str, batches: list[NDArray[np.uint8]], order: array[int]) -> Rows:
            size = len(batches[0])

            def make(number: int) -> Example:
                record = batches[number // size][number % size]
                text = grey_text(record[1:].reshape(3, -1).T)
                try:
                    return Example(f"{name}-{number}", text, self.label(int(record[0])))
                except ValueError as error:
                    where = f"{paths[name][number // size]}, image {number % size + 1}"
                    raise TaskError(f"lra_image: {where}: {error}: {self._again()}") from None

            return Rows(make, order)

        if len({len(batch) for batch in train}) > 1:
            raise TaskError("lra_image: the five data_batch files are not of one size")
        held, taken = _tenth(sum(map(len, train)))
        return Splits(
            rows("train", train, shuffled(taken, seed)),
            rows("train", train, shuffled(held, 0)),
            rows("test", test, shuffled(range(len(test[0])), 0)),
        )

    def _read_from(self, folder: Path) -> list[Path]:
        return [folder / f"{name}.bin" for name in (*BATCHES, TEST)]

    def _unpacked(self) -> Path | None:
        folder = super()._unpacked()
        if folder:
            return folder
        pickled = look("lra_image", "cifar-10-batches-py")
        if not pickled:
            return None
        raise TaskError(
            f"lra_image: {pickled} is the Python version, which is pickled and not read: "
            "unpack the binary version (cifar-10-binary.tar.gz, from the same page) beside it"
        )


def _tenth(count: int) -> tuple[array[int], array[int]]:
    """Numbers of the validation and of the training images, the same for both sources."""
    numbers = shuffled(range(count), 0)
    held = max(1, count // CUT)
    return numbers[:held], numbers[held:]


def grey_text(pixels: NDArray[np.uint8]) -> str:
    """Write pixels of shape (1024, 3), red, green and blue, as one text of letters."""
    import numpy as np

    # Integers, because sums of floats depend on the memory layout of the array.
    luma = (pixels.astype(np.int64) @ np.array([299, 587, 114]) + 500) // 1000
    return pixel_texts(luma.astype(np.uint8)[None])[0]


def _records(path: Path) -> NDArray[np.uint8]:
    """The memory-mapped images of a file, of shape (n, RECORD)."""
    import numpy as np

    try:
        size = path.stat().st_size
        if not size or size % RECORD:
            raise TaskError(
                f"lra_image: {path} has {size} bytes, no multiple of {RECORD}: unpack it again"
            )
        return np.memmap(path, np.uint8, "r").reshape(-1, RECORD)
    except OSError as error:
        raise TaskError(
            f"lra_image: {path} cannot be read: {error.strerror}: unpack {LraImage.archive} again"
        ) from None
