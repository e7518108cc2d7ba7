"""A repository of the hub on this machine: in a folder of the user, or in the hub's local cache."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tasks.base import Download, MissingData, TaskError
from tasks.lib.cache import progress
from tasks.lib.places import misspelt, named_folder, named_path, nearby

_FORMATS = {"parquet": "parquet", "jsonl": "json", "json": "json", "csv": "csv"}
"""File extension -> reader. Loading scripts are not supported."""


class Repository:
    """Finds the data files of a repository; subclasses say which one, and for which task.

    The files are those of `$BENCH_LONG_HUB/<owner>/<name>`, if that folder exists, else those that
    `hf download` put into the hub's local cache.
    """

    repository: str
    revision: str | None = None
    """The commit; None where no commit was checked, so that the newest is used."""
    configuration: str = ""
    """The folder of the data files; "": the repository's root or `data`."""

    @property
    def _task_name(self) -> str:
        """The name of the task, for messages."""
        raise NotImplementedError

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
        return MissingData(self._task_name, what, self._how(), self._download())

    def _given(self) -> Path | None:
        """The repository's folder in $BENCH_LONG_HUB, or None if that has other repositories only.

        A folder without any task's repository is refused, because it is mistyped or one level off.
        """
        folder = named_folder(self._task_name, "BENCH_LONG_HUB", self.repository)
        if not folder:
            return None
        place = folder / self.repository
        if place.is_dir():
            return place
        if near := misspelt(folder, self.repository, repositories()):
            raise TaskError(
                f"{self._task_name}: {folder / near}, in $BENCH_LONG_HUB, looks like "
                f"{self.repository}: rename the folder to that, or move it away"
            )
        if self._others(folder):
            return None
        raise self._missing(
            f"{folder}, from $BENCH_LONG_HUB, holds no folder {self.repository}, nor another "
            f"task's{nearby(folder, self.repository)}"
        )

    def _others(self, folder: Path) -> bool:
        """Whether a folder holds repositories of other tasks."""
        return any((folder / repository).is_dir() for repository in repositories())

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
            _say_passed(self._task_name, passed, self.repository)
        return Path(found)

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
                    f"{self._task_name}: {first[0]} and {second[0].relative_to(folder)} both "
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
    found, left = set(), Repository.__subclasses__()
    while left:
        task = left.pop()
        left += task.__subclasses__()
        if repository := getattr(task, "repository", ""):
            found.add(repository)
    return found
