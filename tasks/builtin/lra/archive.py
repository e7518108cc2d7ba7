"""Long Range Arena tasks whose data is in a publisher's archive or on the hub."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from tasks.base import Splits
from tasks.builtin.lra.release import holds_any, look, named
from tasks.lib.hub import _HubTask
from tasks.lib.pins import pin
from tasks.lib.places import nearby
from tasks.lib.rows import filled


class _ArchiveTask(_HubTask):
    """Reads the publishers' archive, unpacked under $LRA_DATA, or else the hub."""

    archive: ClassVar[str]
    """The name and the address of the archive."""
    unpacked: ClassVar[str]
    """The folder that it unpacks to."""
    held: ClassVar[str]
    """The files that the folder must have."""

    @abstractmethod
    def _read(self, folder: Path, seed: int) -> Splits:
        """The splits from the folder."""

    @abstractmethod
    def _read_from(self, folder: Path) -> list[Path]:
        """The files that are read."""

    def splits(self, length: int, seed: int) -> Splits:
        """The same examples at every length; the seed orders train."""
        folder = self._unpacked()
        if not folder:
            return super().splits(length, seed)
        return filled(self._read(folder, seed), f"{self.metadata.name}: {folder}", self._again())

    def version(self) -> str:
        """A checksum of the archive's files, if they are used; else the version on the hub."""
        folder = self._unpacked()
        if not folder:
            return super().version()
        return pin(self.metadata.name, self._read_from(folder), folder)

    def _unpacked(self) -> Path | None:
        """The folder of the archive, if it exists."""
        name = self.metadata.name
        given, found = named(name), look(name, self.unpacked)
        if given and not found and not holds_any(given):
            raise self._missing(
                f"{given}, from $LRA_DATA, has no {self.unpacked}, nor any other data of the "
                f"arena{nearby(given, self.unpacked)}"
            )
        return found

    def _how(self) -> str:
        return f"{super()._how()}; or {self._again()}"

    def _again(self) -> str:
        """How to get the archive."""
        return (
            f"unpack {self.archive} into the folder in $LRA_DATA, so that it has {self.unpacked}/"
            f"{self.held}"
        )
