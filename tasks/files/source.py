"""Finds the files of an entry: paths, folders of texts, or a repository of the hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tasks.base import TaskError
from tasks.files.entry import PARTS, TYPES, DataEntry
from tasks.lib.repository import Repository

PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Usual names of splits, in lower case -> the split."""


class DataFile(NamedTuple):
    """A file of a task.

    Attributes:
        part: its split; "" if a column or a share decides.
        label: the name of the subfolder of a text file; "" for other files.
        shown: its name in messages and in the ids of examples, which do not depend on where the
            user keeps it.
    """

    path: Path
    reader: str
    part: str
    shown: str
    label: str = ""


class HubRepository(Repository):
    """The repository of an entry."""

    def __init__(self, entry: DataEntry) -> None:
        self.repository, self.configuration = entry.hub or "", entry.config
        self._entry = entry

    def _others(self, folder: Path) -> bool:
        return any(path.is_dir() for path in folder.glob("*/*"))  # they may be of other entries

    @property
    def _task_name(self) -> str:
        return self._entry.name

    def files(self) -> list[DataFile]:
        """The files of all splits.

        Raises:
            MissingData: they are not on this machine.
            TaskError: a split exists twice.
        """
        wanted = dict(self._entry.splits) or {part: part for part in PARTS}
        if self._entry.split:
            wanted = {"": "train"}
        folder, found = self._folder(), []
        for part, name in wanted.items():
            try:
                reader, files = self._files(folder, name)
            except TaskError:
                if part == "validation" and not self._entry.splits:
                    continue  # cut from train
                raise
            found += [
                DataFile(path, reader, part, f"{self.repository}/{path.relative_to(folder)}")
                for path in files
            ]
        return found


def find_files(entry: DataEntry) -> list[DataFile]:
    """Return the files of an entry in a fixed order.

    Raises:
        TaskError: a file or a folder is missing, or a folder has no subfolders.
        MissingData: the repository is not on this machine.
    """
    if entry.format == "hub":
        return HubRepository(entry).files()
    found: list[DataFile] = []
    for part in ("", *PARTS):  # however the entry orders them: the order is in the version
        if part not in entry.places:
            continue
        place = entry.places[part]
        path = Path(place)
        if entry.format == "folder":
            found += _texts(entry, path, part)
        elif not path.is_file():
            what = "is a folder" if path.is_dir() else "there is no such file"
            raise TaskError(f"{entry.name}: {path}: {what} (paths are relative to the sweep file)")
        else:
            reader = "json" if entry.format == "jsonl" else entry.format
            found.append(DataFile(path, reader, part, path.name))
    if len({file.shown for file in found}) < len(found):
        found = [file._replace(shown=f"{file.path.parent.name}/{file.shown}") for file in found]
    return found


def common_folder(files: list[DataFile]) -> Path:
    """The folder that contains all files."""
    return Path(os.path.commonpath([file.path.parent for file in files]))


def _texts(entry: DataEntry, folder: Path, part: str) -> list[DataFile]:
    """The text files of a folder: below a subfolder for each class, or anywhere in it."""
    shown = folder.name
    if not folder.is_dir():
        raise TaskError(
            f"{entry.name}: {folder}: there is no such folder (paths are relative to the sweep "
            f"file)"
        )
    entries = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    folders = [path for path in entries if path.is_dir()]
    if entry.type and TYPES[entry.type].answer == "nothing":
        paths = [(path, "") for path in _below(folder)]
    else:
        names = [path.name for path in folders]
        if not names:
            raise TaskError(
                f"{entry.name}: {shown} has no subfolders: put the texts of each class into a "
                f"subfolder with its name, or write `type: language_modelling` for texts without "
                f"classes"
            )
        if len(names) > 1 and all(name.lower() in PART_NAMES for name in names):
            inner = {PART_NAMES[name.lower()]: f"…/{shown}/{name}" for name in names}
            written = ", ".join(f"{key}: {value}" for key, value in inner.items())
            raise TaskError(
                f"{entry.name}: the subfolders of {shown} are splits, not classes: write "
                f"`folder: {{{written}}}` and `name: {entry.name}`"
            )
        paths = [(path, inner.name) for inner in folders for path in _below(inner)]
    if not paths:
        raise TaskError(f"{entry.name}: {shown} has no text files")
    return [
        DataFile(path, "text", part, f"{shown}/{path.relative_to(folder)}", label)
        for path, label in paths
    ]


def _below(folder: Path) -> list[Path]:
    """The files of a folder and its subfolders, without hidden ones."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
