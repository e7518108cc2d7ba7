"""Pathfinder and Path-X of the Long Range Arena, the released images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from tasks.base import Example, Splits, Task, TaskError, TaskMetadata, printable
from tasks.builtin.lra.pixels import pixel_texts
from tasks.builtin.lra.release import REVISION, find
from tasks.lib.pins import pin
from tasks.lib.rows import Rows, read_ends, shuffled

LEVEL = "curv_contour_length_14"
"""The hardest of the three levels, for which results are published."""


def _metadata(name: str, title: str, side: int) -> TaskMetadata:
    tokens = side * side + 2
    return TaskMetadata(
        name=name,
        title=title,
        description="Whether two dots lie on one dashed path, one token per pixel.",
        labels=("apart", "same"),
        source=f"the official release: pathfinder{side}/{LEVEL}",
        revision=REVISION,
        licence="MIT (the generator)",
        citation="Tay et al., Long Range Arena, ICLR 2021; Linsley et al., NeurIPS 2018",
        natural_length=tokens,
        lengths=(tokens,),
        min_length=tokens,
        whole_texts=True,
        balanced=True,
        needs_network=True,
        schema_only=True,
    )


class _LraPathfinder(Task):
    """Images of one size, listed in text files named .npy; a random 80 / 10 / 10 split."""

    pinned_by = "version"
    side: ClassVar[int]

    def prepare(self) -> None:
        """Check the lists, and the first and last image of each split."""
        read_ends(self.splits(self.metadata.min_length, 0))

    def version(self) -> str:
        """A checksum of the lists, and one of the sizes of the images.

        The images (hundreds of thousands) are not read, so changed pixels in a file of the same
        size are not detected.
        """
        name, folder = self.metadata.name, self._folder()
        sizes = hashlib.sha256()
        for place, _ in self._images(folder):
            try:
                sizes.update(b"%d " % (folder / place).stat().st_size)
            except OSError:
                raise TaskError(
                    f"{name}: {folder / place} does not exist: unpack it again"
                ) from None
        return f"{pin(name, _lists(folder), folder)},sizes:{sizes.hexdigest()[:16]}"

    def splits(self, length: int, seed: int) -> Splits:
        """The same images at every length; the seed orders train."""
        folder = self._folder()
        images = self._images(folder)
        order, tenth = shuffled(range(len(images)), 0), max(1, len(images) // 10)

        def rows(part: Sequence[int]) -> Rows:
            return Rows(lambda number: self._example(folder, *images[number]), part)

        return Splits(
            rows(shuffled(order[2 * tenth :], seed)),
            rows(order[:tenth]),
            rows(order[tenth : 2 * tenth]),
        )

    def _folder(self) -> Path:
        return find(self.metadata.name, f"pathfinder{self.side}/{LEVEL}")

    def _images(self, folder: Path) -> list[tuple[str, int]]:
        """(path in the folder, label) of every image in the lists."""
        name = self.metadata.name
        lists = _lists(folder)
        if not lists:
            raise TaskError(f"{name}: {folder} has no metadata/*.npy: unpack the release again")
        images = []
        for path in lists:
            try:
                lines = path.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError):
                raise TaskError(
                    f"{name}: {printable(str(path))} is no text file, as in the release"
                ) from None
            for number, line in enumerate(lines, 1):
                fields, where = line.split(), f"{name}: {printable(str(path))}, line {number}"
                # imgs/0 sample_7.png 7 1 …: folder, file, number, label. Paths must stay inside.
                if len(fields) < 4 or fields[3] not in ("0", "1"):
                    raise TaskError(f"{where}: no image with its label")
                if ".." in Path(*fields[:2]).parts or Path(*fields[:2]).is_absolute():
                    raise TaskError(f"{where}: the path leaves the folder")
                place = f"{fields[0]}/{fields[1]}"
                if not place.isprintable():
                    raise TaskError(f"{where}: {printable(place)} is no plain name")
                images.append((place, int(fields[3])))
        if len(images) < 10:
            raise TaskError(
                f"{name}: {folder} lists {len(images)} images: unpack the release again"
            )
        return images

    def _example(self, folder: Path, place: str, label: int) -> Example:
        import numpy as np
        from PIL import Image

        path = folder / place
        try:
            with Image.open(path, formats=["PNG"]) as image:
                shape: Any = image.size
                pixels = np.asarray(image.convert("L")) if shape == (self.side,) * 2 else None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            what = (
                "does not exist" if isinstance(error, FileNotFoundError) else "is no complete PNG"
            )
            raise TaskError(f"{self.metadata.name}: {path} {what}: unpack it again") from None
        if pixels is None:
            raise TaskError(
                f"{self.metadata.name}: {path} has {shape[0]} x {shape[1]} pixels, not {self.side} "
                f"x {self.side}"
            )
        return Example(place, pixel_texts(pixels.reshape(1, -1))[0], label)


def _lists(folder: Path) -> list[Path]:
    return sorted((folder / "metadata").glob("*.npy"), key=lambda p: (len(p.stem), p.stem))


class LraPathfinder(_LraPathfinder):
    """32 x 32 pixels: 1024 tokens."""

    side = 32
    metadata: ClassVar[TaskMetadata] = _metadata(
        "lra_pathfinder", "Pathfinder (Long Range Arena, released images)", 32
    )


class LraPathx(_LraPathfinder):
    """128 x 128 pixels: 16,384 tokens."""

    side = 128
    metadata: ClassVar[TaskMetadata] = _metadata(
        "lra_pathx", "Path-X (Long Range Arena, released images)", 128
    )
