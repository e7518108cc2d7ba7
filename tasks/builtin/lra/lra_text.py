"""Text of the Long Range Arena: film reviews as bytes."""

from __future__ import annotations

import os
import zlib
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tasks.base import Example, Splits, TaskError, TaskMetadata, printable
from tasks.builtin.documents import imdb
from tasks.builtin.lra.archive import _ArchiveTask
from tasks.builtin.lra.release import byte_words
from tasks.lib.hub import hub_metadata
from tasks.lib.pins import once
from tasks.lib.rows import Rows, cut, shuffled

BYTES = 4096

FOLDERS = ("neg", "pos")
"""Folders of the archive, in the order of the labels."""


class LraText(_ArchiveTask):
    """IMDb, one word per byte. The arena validates on test; here validation is cut from train.

    The texts are unchanged, with their `<br />`, as in the arena. They come from Stanford's
    archive, where each review is a file, or from the hub, which has the same texts. Both give the
    same validation split.
    """

    repository, revision, configuration = imdb.REPOSITORY, imdb.REVISION, "plain_text"
    parts = ("train", "", "test")
    columns = ("text", "label")
    synonyms = imdb.SYNONYMS
    archive = "aclImdb_v1.tar.gz (from ai.stanford.edu/~amaas/data/sentiment)"
    unpacked, held = "aclImdb", "{train,test}/{neg,pos}/*.txt"
    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="lra_text",
        title="Text (Long Range Arena): IMDb as bytes",
        description="Whether a film review is positive, one token per byte.",
        labels=("negative", "positive"),
        repository=imdb.REPOSITORY,
        source=", or Stanford's aclImdb in $LRA_DATA",
        commit=imdb.REVISION,
        licence="not stated by its publishers",
        citation="Tay et al., Long Range Arena, ICLR 2021; Maas et al., ACL 2011",
        natural_length=980,
        lengths=(1024, 2048, 4098),
        whole_texts=True,
        balanced=True,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The first 4096 bytes."""
        return Example(name, byte_words(row["text"], BYTES), self.label(row["label"]))

    def _read(self, folder: Path, seed: int) -> Splits:
        train, test = (self._names(folder, part) for part in ("train", "test"))
        paths = [folder / name for name in train]

        def codes() -> bytes:
            return array("q", (zlib.crc32(path.read_bytes()) for path in paths)).tobytes()

        known = array("q")
        try:
            known.frombytes(once("reviews", paths, codes))
        except OSError as error:
            raise self._unreadable(error.filename, f"cannot be read ({error.strerror})") from None
        held, taken = cut(known)
        return Splits(
            self._reviews(folder, train, shuffled(taken, seed)),
            self._reviews(folder, train, shuffled(held, 0)),
            self._reviews(folder, test, shuffled(range(len(test)), 0)),
        )

    def _read_from(self, folder: Path) -> list[Path]:
        return [folder / name for part in ("train", "test") for name in self._names(folder, part)]

    def _reviews(self, folder: Path, names: Sequence[str], order: Sequence[int]) -> Rows:
        def make(number: int) -> Example:
            path = folder / names[number]
            try:
                row = {"text": path.read_bytes().decode("utf-8"), "label": _label(names[number])}
            except UnicodeDecodeError:
                raise self._unreadable(path, "is not UTF-8 text") from None
            except OSError as error:
                raise self._unreadable(path, f"cannot be read ({error.strerror})") from None
            return self.example(names[number], row)

        return Rows(make, order)

    def _names(self, folder: Path, part: str) -> list[str]:
        """The reviews of a split, such as `train/pos/0_9.txt`; links are refused."""
        names = []
        for place in (part, *(f"{part}/{sentiment}" for sentiment in FOLDERS)):
            if (folder / place).is_symlink():
                raise self._unreadable(folder / place, "is a link, which is not followed")
        for sentiment in FOLDERS:
            base = folder / part / sentiment
            try:
                with os.scandir(base) as entries:
                    found = sorted(
                        (entry for entry in entries if entry.name.endswith(".txt")),
                        key=lambda entry: entry.name,
                    )
            except OSError as error:
                raise self._unreadable(base, f"cannot be read ({error.strerror})") from None
            if not found:
                raise self._unreadable(base, "holds no *.txt")
            for entry in found:
                if not entry.is_file(follow_symlinks=False) or not entry.name.isprintable():
                    raise self._unreadable(
                        f"{printable(entry.name)} in {base}", "is no plain file of a plain name"
                    )
            names += [f"{part}/{sentiment}/{entry.name}" for entry in found]
        return names

    def _unreadable(self, where: str | Path, what: str) -> TaskError:
        return TaskError(f"lra_text: {where} {what}: {self._again()}")


def _label(name: str) -> int:
    return FOLDERS.index(name.split("/")[1])
