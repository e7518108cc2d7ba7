"""Tasks from the Hugging Face hub: read from its local cache or from a folder, never fetched."""

from __future__ import annotations

import hashlib
import zlib
from abc import abstractmethod
from array import array
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from tasks.base import Download, Example, MissingData, Splits, Task, TaskError, TaskMetadata
from tasks.lib.cache import cache_folder, progress, unwritable
from tasks.lib.columns import Columns
from tasks.lib.convert import VERSION, BadRow, Stored, convert
from tasks.lib.labels import Labels
from tasks.lib.pins import pin
from tasks.lib.places import misspelt, named_folder, named_path, nearby
from tasks.lib.readers import BadFile, MissingColumn
from tasks.lib.rows import Rows, cut, filled, read_ends, shuffled

_FORMATS = {"parquet": "parquet", "jsonl": "json", "json": "json", "csv": "csv"}
"""Ending of a file -> how it is read. Loading scripts are not among them."""


class _HubTask(Task):
    """A repository of data files, one file or more a split, and how a row becomes an example.

    The files are those of `$BENCH_LONG_HUB/<owner>/<name>`, if that folder is there, else those
    that `hf download` put into the hub's local cache. Rows stay in a memory-mapped Arrow file and
    become examples when they are read.

    Splits are as published: a text may have a near-duplicate in another. Without a published
    validation split one is cut from train, never from test; rows with the same first column stay
    on one side.
    """

    repository: ClassVar[str]
    revision: ClassVar[str | None] = None
    """The commit; None where none could be checked, and the newest is taken."""
    configuration: ClassVar[str] = ""
    """The folder of the data files; empty: the repository's own or `data`."""
    parts: ClassVar[tuple[str, str, str]] = ("train", "validation", "test")
    """Names of the published splits; an empty one is cut from train."""
    columns: ClassVar[tuple[str, ...]]
    """What is read of a row, and no more: `answers.*.text` is `text` in each of the list `answers`.
    All are text but for `label`, `labels` and fields named `bytes` (`tasks/lib/columns.py`)."""
    label_names: ClassVar[tuple[str, ...] | None] = None
    """The labels as their publishers name them by number, if not as the metadata do."""
    synonyms: ClassVar[Mapping[str, str]] = {}
    """Other names of labels -> the name."""

    @abstractmethod
    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """Make an example of that name from a row."""

    def prepare(self) -> None:
        """Check that every split is there and that its first and last rows can be used."""
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
        """The commit, if the hub's cache has the data under it; else a checksum of the files.

        What a folder of the user's holds may be any commit, or none.
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
        """A label that is in range, from its number or its name.

        Raises:
            ValueError: it is not; -1 stands for a label that the publishers kept to themselves.
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
            f"{self.metadata.name}: row {number} of '{part}' in {self.repository} is not what was "
            f"expected ({_line(error)}): {self._how()}"
        )

    def _cut(self, train: Stored) -> tuple[array[int], array[int]]:
        """Rows for validation and for train, by the checksum of the first column."""
        first = train.column(self.columns[0])
        return cut(array("q", (zlib.crc32(str(value).encode()) for value in first)))

    def _how(self) -> str:
        """How the data is got, as one command."""
        return (
            f"run `{self._download().command()}`, or name a folder that holds {self.repository} in "
            "$BENCH_LONG_HUB"
        )

    def _download(self) -> Download:
        include = (f"{self.configuration}/*",) if self.configuration else ()
        return Download(self.repository, self.revision, include)

    def _missing(self, what: str) -> MissingData:
        return MissingData(self.metadata.name, what, self._how(), self._download())

    def _given(self) -> Path | None:
        """The folder of the user's, if the repository is in it.

        Others may be in it, and this one in the hub's cache. A folder that holds no task's
        repository is not what the variable is for: it is mistyped, or too deep, or too high.
        """
        folder = named_folder(self.metadata.name, "BENCH_LONG_HUB", self.repository)
        if not folder:
            return None
        place = folder / self.repository
        if place.is_dir():
            return place
        if near := misspelt(folder, self.repository, repositories()):
            raise TaskError(
                f"{self.metadata.name}: {folder / near}, in $BENCH_LONG_HUB, looks like "
                f"{self.repository}: rename the folder to that, or move it away"
            )
        if any((folder / repository).is_dir() for repository in repositories()):
            return None
        raise self._missing(
            f"{folder}, from $BENCH_LONG_HUB, holds no folder {self.repository}, nor another "
            f"task's{nearby(folder, self.repository)}"
        )

    def _folder(self) -> Path:
        if given := self._given():
            return given
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            found = snapshot_download(
                self.repository, repo_type="dataset", revision=self.revision, local_files_only=True
            )
        except (LocalEntryNotFoundError, OSError, ValueError):
            raise self._missing(f"{self.repository} {self.configuration}".strip()) from None
        if passed := named_path("BENCH_LONG_HUB"):
            _say_passed(self.metadata.name, passed, self.repository)
        return Path(found)

    def _load(self, folder: Path, split: str) -> Stored:
        """One split, in Arrow; converted once, into the cache."""
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

    def _files(self, folder: Path, split: str) -> tuple[str, list[Path]]:
        """The reader for a split's files, and the files.

        Raises:
            TaskError: there are none, or a folder holds the split twice.
        """
        bases = [self.configuration] if self.configuration else ["data", ""]
        for base in bases:
            found = [
                (reader, files)
                for ending, reader in _FORMATS.items()
                for form in (f"{split}-*.{ending}", f"{split}.{ending}", f"{split}/*.{ending}")
                if (files := sorted((folder / base).glob(form)))
            ]
            if len(found) > 1:
                (_, first), (_, second) = found[:2]
                raise TaskError(
                    f"{self.metadata.name}: {first[0]} and {second[0].relative_to(folder)} both "
                    f"hold the split '{split}': move one of them away"
                )
            if found:
                return found[0]
        scripts = sorted(folder.glob("*.py"))
        why = f" ({scripts[0].name}, a loading script, is not run)" if scripts else ""
        raise self._missing(
            f"{folder} has no {Path(bases[0]) / split}-*.parquet, nor .jsonl, .json or .csv{why}"
        )


@cache
def _say_passed(name: str, folder: Path, repository: str) -> None:
    """Say once that the user's folder is not what is read: a name within may be mistyped."""
    progress.info(
        "%s: read from the hub's cache: %s, from $BENCH_LONG_HUB, holds no %s",
        name, folder, repository,
    )  # fmt: skip


def repositories() -> set[str]:
    """The repositories of all tasks that are loaded."""
    found, left = set(), _HubTask.__subclasses__()
    while left:
        task = left.pop()
        left += task.__subclasses__()
        if repository := getattr(task, "repository", ""):
            found.add(repository)
    return found


def hub_metadata(**fields: Any) -> TaskMetadata:
    """Metadata of a hub task: `repository` and `commit` say where its data comes from.

    `source` says where else, in words that go on after them; `test` names the published split that
    is the test here, where that is not the test split.
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
    """The first line of an error, short: what a file holds is not to be trusted in a log."""
    return _short(str(error) or type(error).__name__)


def _short(text: str) -> str:
    line = (text.strip().splitlines() or [""])[0]
    return "".join(char if char.isprintable() else "?" for char in line[:200])
