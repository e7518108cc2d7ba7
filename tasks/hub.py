"""Tasks from the Hugging Face hub: read from its local cache or from a folder, never fetched."""

from __future__ import annotations

import os
import zlib
from abc import abstractmethod
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.base import Example, Splits, Task, TaskError, TaskMetadata
from tasks.columns import check_text, with_null
from tasks.pins import pin
from tasks.rows import SCHEMA_ONLY, Rows, cut, filled, shuffled

if TYPE_CHECKING:
    from datasets import Dataset

_FORMATS = {"parquet": "parquet", "jsonl": "json", "json": "json", "csv": "csv"}
"""Ending of a file -> reader of the datasets library. Loading scripts are not among them."""


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
    """What a row must have; the first is or holds a text."""
    texts: ClassVar[tuple[str, ...] | None] = None
    """What of a row must be text, if not the columns but for the labels: `answers.*.text` is `text`
    in each of the list `answers`."""

    @abstractmethod
    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """Make an example of that name from a row."""

    def prepare(self) -> None:
        """Check that every split is there and that its first and last rows can be used."""
        for part in self.splits(self.metadata.min_length, 0):
            for place in (0, -1):
                part[place]

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
        """A label that is in range.

        Raises:
            ValueError: it is not; -1 stands for a label that the publishers kept to themselves.
        """
        label = int(value)
        if label != float(value) or label not in range(len(self.metadata.labels)):
            raise ValueError(f"the label {value!r} is none of 0 to {len(self.metadata.labels) - 1}")
        return label

    def _rows(self, data: Dataset, part: str, order: array[int], published: str = "") -> Rows:
        texts = self.texts
        if texts is None:
            texts = tuple(name for name in self.columns if name not in ("label", "labels"))

        def make(number: int) -> Example:
            try:
                row = data[number]
                for column in texts:
                    check_text(row, column)
                return self.example(f"{part}-{number}", row)
            except (TypeError, ValueError, KeyError, IndexError, AttributeError, OSError) as error:
                raise TaskError(
                    f"{self.metadata.name}: row {number} of '{published or part}' in "
                    f"{self.repository} is not what was expected ({_line(error)}): {self._how()}"
                ) from None

        for number in with_null(data, texts):
            make(number)
        return Rows(make, order)

    def _cut(self, train: Dataset) -> tuple[array[int], array[int]]:
        """Rows for validation and for train, by the checksum of the first column."""
        codes, key = array("q"), self.columns[0]
        for batch in train.with_format("arrow").select_columns([key]).iter(1000):
            codes.extend(zlib.crc32(str(value).encode()) for value in batch[key].to_pylist())
        return cut(codes)

    def _how(self) -> str:
        """How the data is got, as one command."""
        command = f"hf download --repo-type dataset {self.repository}"
        if self.revision:
            command += f" --revision {self.revision}"
        if self.configuration:
            command += f" --include '{self.configuration}/*'"
        return f"run `{command}`, or name a folder that holds {self.repository} in $BENCH_LONG_HUB"

    def _given(self) -> Path | None:
        """The folder of the user's, if it is there."""
        given = os.environ.get("BENCH_LONG_HUB")
        folder = Path(given or "") / self.repository
        return folder if given and folder.is_dir() else None

    def _folder(self) -> Path:
        if given := self._given():
            return given
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            return Path(
                snapshot_download(
                    self.repository,
                    repo_type="dataset",
                    revision=self.revision,
                    local_files_only=True,
                )
            )
        except (LocalEntryNotFoundError, OSError, ValueError):
            raise TaskError(
                f"{self.metadata.name}: the data is not on this machine: {self._how()}"
            ) from None

    def _load(self, folder: Path, split: str) -> Dataset:
        """One split, in Arrow; converted once, into the cache."""
        reader, files = self._files(folder, split)
        from datasets import disable_progress_bars, load_dataset
        from datasets.utils import logging

        disable_progress_bars()
        before = logging.get_verbosity()
        # What it logs of a damaged file is the file's content; the error below says enough.
        logging.set_verbosity(logging.CRITICAL)
        known = pin(self.metadata.name, files, folder)
        cache = os.environ.get("BENCH_LONG_CACHE") or Path.home() / ".cache" / "bench-long"
        try:
            data = load_dataset(
                reader,
                data_files=[str(path) for path in files],
                split="train",
                # The library knows a file by its place and time, which may be another's.
                cache_dir=str(Path(cache) / "hub" / known.partition(":")[2]),
            )
        except Exception as error:  # each reader has errors of its own
            raise TaskError(
                f"{self.metadata.name}: {files[0]} is damaged or no {reader} file "
                f"({_line(error.__cause__ or error)}): {self._how()}"
            ) from None
        finally:
            logging.set_verbosity(before)
        self._check(data, files[0])
        return data

    def _check(self, data: Dataset, file: Path) -> None:
        """Columns, and the order of the labels where the file knows their names."""
        missing = [column for column in self.columns if column not in data.column_names]
        if missing:
            raise TaskError(
                f"{self.metadata.name}: {file} has no column '{missing[0]}', only "
                f"{', '.join(data.column_names)}: another revision? {self._how()}"
            )
        for feature in data.features.values():
            names = getattr(feature, "names", None) or ()
            same = set(names) == set(self.metadata.labels)
            if same and tuple(names) != self.metadata.labels:
                raise TaskError(
                    f"{self.metadata.name}: {file} numbers its labels otherwise: {', '.join(names)}"
                )

    def _files(self, folder: Path, split: str) -> tuple[str, list[Path]]:
        """The reader for a split's files, and the files."""
        bases = [self.configuration] if self.configuration else ["data", ""]
        for base in bases:
            for ending, reader in _FORMATS.items():
                for form in (f"{split}-*.{ending}", f"{split}.{ending}", f"{split}/*.{ending}"):
                    if found := sorted((folder / base).glob(form)):
                        return reader, found
        scripts = sorted(folder.glob("*.py"))
        why = f" ({scripts[0].name}, a loading script, is not run)" if scripts else ""
        raise TaskError(
            f"{self.metadata.name}: {folder} has no {Path(bases[0]) / split}-*.parquet, nor "
            f".jsonl, .json or .csv{why}: {self._how()}"
        )


def hub_metadata(**fields: Any) -> TaskMetadata:
    """Metadata of a hub task: `repository` and `commit` say where its data comes from.

    `source` says where else, in words that go on after them.
    """
    repository, commit = fields.pop("repository"), fields.pop("commit")
    return TaskMetadata(
        **{
            **fields,
            "description": f"{fields['description']} {SCHEMA_ONLY}",
            "source": f"the hub's {repository}{fields.get('source', '')}",
            "revision": commit or "not pinned",
            "needs_network": True,
        }
    )


def _line(error: BaseException) -> str:
    """The first line of an error, short: what a file holds is not to be trusted in a log."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return "".join(char if char.isprintable() else "?" for char in lines[0][:120])
