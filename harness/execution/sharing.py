"""Result files at an fsspec address: machines that share nothing but a bucket join their runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput, one_line
from harness.core.folder import CELLS, write_atomically
from harness.core.folder.reading import CELL_FILE

_USER = re.compile(r"(?<=//)[^/@]*@")


class SharedResults:
    """The result files at an address such as `s3://bucket/run`; a file there is never replaced.

    Attributes:
        lost: why files could not be copied, the last reason; "" if all were.
    """

    def __init__(self, address: str) -> None:
        """Open the address.

        Raises:
            BadInput: its protocol is unknown or needs a package, or it cannot be reached.
        """
        import fsspec

        self.name = _USER.sub("", address)  # keys may be part of an address
        self.lost = ""
        self._files: Any
        try:
            self._files, root = fsspec.url_to_fs(address)
            self._cells = f"{root.rstrip('/')}/{CELLS}"
            self._open(root.partition("/")[0])
        except ImportError as error:
            raise BadInput(f"--share: {self.name}: {one_line(error)}") from None
        except Exception as error:  # each file system has errors of its own
            raise BadInput(f"--share: {self.name}: cannot be used: {self._said(error)}") from None

    def _open(self, bucket: str) -> None:
        """Make the folder, or see that the bucket exists; "" where paths begin at a root.

        A bucket needs no folders, and a mistyped name must not make a bucket.
        """
        if not bucket:
            self._files.makedirs(self._cells, exist_ok=True)
            return
        try:
            self._files.info(bucket)
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no bucket {bucket}") from None
        except PermissionError:  # rights may be those to a part of it
            return

    def exchange(self, folder: Path) -> None:
        """Copy the files that one side lacks to it, in both directions."""
        own = {path.name: path for path in (folder / CELLS).glob("*.json")}
        try:
            self._files.invalidate_cache()
            there = self._names()
            for name in sorted(there - {*own}):
                if CELL_FILE.fullmatch(name):
                    content = self._files.cat_file(f"{self._cells}/{name}")
                    write_atomically(folder / CELLS / name, content)
        except Exception as error:
            self.lost = self._said(error)
            return
        self.lost = ""
        for name in sorted({*own} - there):
            self.give(own[name])

    def _names(self) -> set[str]:
        try:
            return {Path(name).name for name in self._files.ls(self._cells, detail=False)}
        except FileNotFoundError:  # a bucket has no empty folders
            return set()

    def give(self, path: Path) -> None:
        """Copy a result file to the address; a failure is kept in `lost`."""
        place = f"{self._cells}/{path.name}"
        try:
            if not self._files.exists(place):
                with self._files.transaction, self._files.open(place, "wb") as file:
                    file.write(path.read_bytes())
        except Exception as error:  # the run goes on
            self.lost = self._said(error)

    def _said(self, error: Exception) -> str:
        return _USER.sub("", one_line(error))
