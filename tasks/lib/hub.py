"""Tasks from the Hugging Face hub, read from its local cache or a folder, never downloaded."""

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
"""File extension -> reader. Loading scripts are not supported."""


class _HubTask(Task):
    """A repository with one or more data files per split, and the conversion of rows to examples.

    The files are those of `$BENCH_LONG_HUB/<owner>/<name>`, if that folder exists, else those that
    `hf download` put into the hub's local cache. Rows stay in a memory-mapped Arrow file and become
    examples when they are read.

    Splits are as published, so two splits can have near-duplicates. Without a published validation
    split, validation is cut from train, never from test; rows with the same first column stay in
    one split.
    """

    repository: ClassVar[str]
    revision: ClassVar[str | None] = None
    """The commit; None where no commit was checked, so that the newest is used."""
    configuration: ClassVar[str] = ""
    """The folder of the data files; "": the repository's root or `data`."""
    parts: ClassVar[tuple[str, str, str]] = ("train", "validation", "test")
    """Names of the published splits; "" for a split that is cut from train."""
    columns: ClassVar[tuple[str, ...]]
    """The fields that are read: `answers.*.text` is `text` in each item of the list `answers`. All
    are text except `label`, `labels` and fields named `bytes` (`tasks/lib/columns.py`)."""
    label_names: ClassVar[tuple[str, ...] | None] = None
    """The published names of the labels by number, if they differ from the metadata."""
    synonyms: ClassVar[Mapping[str, str]] = {}
    """Other names of labels -> the name in the metadata."""

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

    def _how(self) -> str:
        """How to get the data, in one command."""
        return (
            f"run `{self._download().command()}`, or set $BENCH_LONG_HUB to a folder that contains "
            f"{self.repository}"
        )

    def _download(self) -> Download:
        include = (f"{self.configuration}/*",) if self.configuration else ()
        return Download(self.repository, self.revision, include)

    def _missing(self, what: str) -> MissingData:
        return MissingData(self.metadata.name, what, self._how(), self._download())

    def _given(self) -> Path | None:
        """The repository's folder in $BENCH_LONG_HUB, or None if that has other repositories only.

        A folder without any task's repository is refused, because it is mistyped or one level off.
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

    def _files(self, folder: Path, split: str) -> tuple[str, list[Path]]:
        """The reader of a split's files, and the files.

        Raises:
            TaskError: there are none, or the split exists twice.
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
    """Log once that $BENCH_LONG_HUB lacks the repository, because its name may be mistyped."""
    progress.info(
        "%s: read from the hub's cache: %s, from $BENCH_LONG_HUB, holds no %s",
        name, folder, repository,
    )  # fmt: skip


def repositories() -> set[str]:
    """The repositories of all loaded tasks."""
    found, left = set(), _HubTask.__subclasses__()
    while left:
        task = left.pop()
        left += task.__subclasses__()
        if repository := getattr(task, "repository", ""):
            found.add(repository)
    return found


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
