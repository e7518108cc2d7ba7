"""Tasks from the Hugging Face hub, read from its local cache or a folder, never downloaded."""

from __future__ import annotations

import hashlib
import zlib
from abc import abstractmethod
from array import array
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from tasks.base import Example, Splits, Task, TaskError, TaskMetadata
from tasks.lib.cache import cache_folder, progress, unwritable
from tasks.lib.columns import Columns
from tasks.lib.convert import VERSION, BadRow, Stored, convert
from tasks.lib.labels import Labels
from tasks.lib.pins import pin
from tasks.lib.readers import BadFile, MissingColumn
from tasks.lib.repository import Repository
from tasks.lib.rows import Rows, cut, filled, read_ends, shuffled


class _HubTask(Repository, Task):
    """A repository with one or more data files per split, and the conversion of rows to examples.

    Rows stay in a memory-mapped Arrow file and become examples when they are read.

    Splits are as published, so two splits can have near-duplicates. Without a published validation
    split, validation is cut from train, never from test; rows with the same first column stay in
    one split.
    """

    parts: ClassVar[tuple[str, str, str]] = ("train", "validation", "test")
    """Names of the published splits; "" for a split that is cut from train."""
    columns: ClassVar[tuple[str, ...]]
    """The fields that are read: `answers.*.text` is `text` in each item of the list `answers`. All
    are text except `label`, `labels` and fields named `bytes` (`tasks/lib/columns.py`)."""
    label_names: ClassVar[tuple[str, ...] | None] = None
    """The published names of the labels by number, if they differ from the metadata."""
    synonyms: ClassVar[Mapping[str, str]] = {}
    """Other names of labels -> the name in the metadata."""

    @property
    def _task_name(self) -> str:
        return self.metadata.name

    @abstractmethod
    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """Make the example `name` from a row."""

    def prepare(self) -> None:
        """Check that every split exists and that its first and last rows are valid."""
        read_ends(self.splits(self.metadata.min_length, 0))

    def splits(self, length: int, seed: int) -> Splits:
        """The same rows at every length; the seed orders train."""
        folder = self._folder()
        train = self._load(folder, self.parts[0])
        test = self._load(folder, self.parts[2])
        validation = self._load(folder, self.parts[1]) if self.parts[1] else train
        held: Iterable[int] = range(len(validation))
        taken: Iterable[int] = range(len(train))
        if not self.parts[1]:
            held, taken = self._cut(train)
        splits = Splits(
            self._rows(train, "train", shuffled(taken, seed)),
            self._rows(validation, self.parts[1] or "train", shuffled(held, 0)),
            self._rows(test, "test", shuffled(range(len(test)), 0), self.parts[2]),
        )
        return filled(splits, f"{self.metadata.name}: {folder}", self._how())

    def version(self) -> str:
        """The commit, if the data is in the hub's cache; else a checksum of the files.

        A folder of the user may contain any commit, or modified files.
        """
        folder = self._folder()
        if folder != self._given() and folder.parent.name == "snapshots":
            if not self.revision:
                return f"commit:{folder.name}"
            if folder.name == self.revision:
                return self.metadata.revision
        parts = [part for part in self.parts if part]
        files = [path for part in parts for path in self._files(folder, part)[1]]
        return pin(self.metadata.name, files, folder)

    def label(self, value: Any) -> int:
        """The index of a label, from its number or its name.

        Raises:
            ValueError: no such label; publishers write -1 for labels that are not published.
        """
        return self._labels().number(value)

    def _labels(self) -> Labels:
        return Labels(self.label_names or self.metadata.labels, self.synonyms)

    def _rows(self, data: Stored, part: str, order: array[int], published: str = "") -> Rows:
        def make(number: int) -> Example:
            try:
                return self.example(f"{part}-{number}", data[number])
            except (TypeError, ValueError, KeyError, IndexError, AttributeError, OSError) as error:
                raise self._bad_row(number, published or part, error) from None

        return Rows(make, order)

    def _bad_row(self, number: int, part: str, error: BaseException) -> TaskError:
        return TaskError(
            f"{self.metadata.name}: row {number} of '{part}' in {self.repository} is invalid "
            f"({_line(error)}): {self._how()}"
        )

    def _cut(self, train: Stored) -> tuple[array[int], array[int]]:
        """Row numbers for validation and for train, by the checksum of the first column."""
        first = train.column(self.columns[0])
        return cut(array("q", (zlib.crc32(str(value).encode()) for value in first)))

    def _load(self, folder: Path, split: str) -> Stored:
        """One split as an Arrow file, which is made once and cached."""
        name = self.metadata.name
        reader, files = self._files(folder, split)
        columns = Columns(self.columns, self._labels())
        named = [*columns.labels.names, *sorted(self.synonyms.items())]
        key = f"{VERSION} {reader} {self.columns} {named} {pin(name, files, folder)}"
        home = cache_folder(name)
        kept = home / "hub" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.arrow"
        with suppress(OSError, ValueError):  # Arrow's errors among them: it is made again
            return Stored(kept)
        size = sum(path.stat().st_size for path in files) / 1e6
        progress.info(
            "%s: '%s' of %s is converted and kept (%d files, %.0f MB, this time only)",
            name, split, self.repository, len(files), size,
        )  # fmt: skip
        try:
            convert(reader, files, columns, kept)
            return Stored(kept)
        except BadRow as error:
            raise self._bad_row(error.number, split, error) from None
        except BadFile as error:
            file, why = error.args
            asked = ": another revision? " if isinstance(error, MissingColumn) else ": "
            raise TaskError(f"{name}: {file} {_short(why)}{asked}{self._how()}") from None
        except OSError as error:
            raise unwritable(name, home, error.strerror) from None


def hub_metadata(**fields: Any) -> TaskMetadata:
    """Metadata of a hub task, from `repository`, `commit` and the fields of TaskMetadata.

    `source` is appended to the source, for further places; `test` names the published split that is
    used as test, if it is not the test split.
    """
    repository, commit = fields.pop("repository"), fields.pop("commit")
    test = fields.pop("test", "")
    source = fields.get("source", "")
    if test:
        source += f"; tested on its published {test} split (test labels are not published)"
    return TaskMetadata(
        **{
            **fields,
            "source": f"the hub's {repository}{source}",
            "revision": commit or "not pinned",
            "needs_network": True,
            "schema_only": True,
            "published_splits": True,
        }
    )


def _line(error: BaseException) -> str:
    """The first line of an error, short and printable, because file content is untrusted."""
    return _short(str(error) or type(error).__name__)


def _short(text: str) -> str:
    line = (text.strip().splitlines() or [""])[0]
    return "".join(char if char.isprintable() else "?" for char in line[:200])
