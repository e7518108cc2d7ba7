"""Token ids on disk: 100,000 tokenised documents never sit in memory at once."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from typing import overload

from harness.system.scratch import unwritable


class TokenRows(Sequence[list[int]]):
    """Rows of token ids in a file without a name, 4 bytes a token; a row is read when asked for.

    The file lies in the system's folder for temporary files ($TMPDIR) and goes with the process.
    It is read with `pread`, not mapped: a mapping's pages would count into the peaks of memory.
    """

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # lives as long as this
        except OSError as error:
            raise OSError(unwritable(tempfile.gettempdir(), error)) from None
        self._ends = array("q", [0])

    def extend(self, rows: Iterable[Sequence[int]]) -> None:
        """Add rows at the end.

        Raises:
            OSError: the folder for temporary files, which is named, is full.
        """
        ids = array("i")
        start = self._ends[-1]
        for row in rows:
            ids.extend(row)
            self._ends.append(start + len(ids))
        rest = memoryview(ids.tobytes())
        try:
            while rest:  # a disk that is nearly full takes a part, and fails at the next
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise OSError(unwritable(tempfile.gettempdir(), error)) from None

    def size(self, row: int) -> int:
        """Tokens of a row, without reading it."""
        return self._ends[row + 1] - self._ends[row]

    def sizes(self) -> list[int]:
        """Tokens of every row."""
        return [self.size(row) for row in range(len(self))]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> list[int]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[int]]: ...
    def __getitem__(self, index: int | slice) -> list[int] | list[list[int]]:
        """Read a row, or those of a slice."""
        if isinstance(index, slice):
            return [self[row] for row in range(len(self))[index]]
        row = range(len(self))[index]
        ids = array("i")
        width = ids.itemsize
        start, size = self._ends[row], self.size(row)
        ids.frombytes(os.pread(self._file.fileno(), size * width, start * width))
        return ids.tolist()
