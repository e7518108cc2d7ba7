"""Converts the data files of a split to one memory-mapped Arrow file with the needed columns.

Every value is checked: the Arrow file has text where text is expected, and labels as valid numbers.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from tasks.lib.columns import Columns
from tasks.lib.labels import class_names
from tasks.lib.readers import (
    BATCH,
    BadFile,
    Row,
    parquet_schema,
    read_csv,
    read_json,
    read_parquet,
)

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
"""Increase when the conversion of the same files changes."""


class BadRow(Exception):
    """An invalid row: its number in the split, its place in the file, and why."""

    def __init__(self, number: int, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.number = number


class Stored(Sequence[Row]):
    """The rows of a memory-mapped Arrow file, read on demand."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._file = pa.ipc.open_file(pa.memory_map(str(path)))
        self._ends, total = array("q"), 0
        for number in range(self._file.num_record_batches):
            total += self._file.get_batch(number).num_rows
            self._ends.append(total)

    def __len__(self) -> int:
        """The number of rows."""
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """A row, or those of a slice."""
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        block = bisect_right(self._ends, number)
        start = self._ends[block - 1] if block else 0
        row: Row = self._file.get_batch(block).slice(number - start, 1).to_pylist()[0]
        return row

    def column(self, name: str) -> Iterator[Any]:
        """The values of one column, row by row."""
        for number in range(self._file.num_record_batches):
            yield from self._file.get_batch(number).column(name).to_pylist()


def convert(reader: str, files: Sequence[Path], columns: Columns, to: Path) -> None:
    """Write the rows of these files to one file, atomically.

    Raises:
        BadFile: a file cannot be read; the arguments of the error are its name and the reason.
        BadRow: a row is invalid.
        OSError: the file cannot be written.
    """
    import pyarrow as pa

    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f"{to.name}.{os.getpid()}.tmp")
    schema, count = columns.schema(), 0
    try:
        with part.open("wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for file in files:
                try:
                    for batch in _batches(reader, file, columns, count):
                        writer.write_batch(batch)
                        count += batch.num_rows
                except BadFile as error:
                    raise type(error)(file, *error.args) from None
            if not count:
                raise BadFile(files[0], "has no rows")
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)


def _batches(reader: str, file: Path, columns: Columns, before: int) -> Iterator[pa.RecordBatch]:
    """The needed columns of a file; `before` is the number of rows of earlier files."""
    if not file.stat().st_size:
        raise BadFile("is empty")
    if reader != "parquet":
        rows = (read_csv if reader == "csv" else read_json)(file, columns)
        while some := list(islice(rows, BATCH)):
            yield _made(some, columns, file, before)
            before += len(some)
        return
    schema = parquet_schema(file)
    for head in columns.label_heads:
        names = class_names(schema, head)
        if names and (fault := columns.labels.order_fault(names)):
            raise BadFile(fault)
    for batch in read_parquet(file, columns):
        if _is_valid(batch) and columns.whole(batch):
            arrays = [batch.column(field.name).cast(field.type) for field in columns.schema()]
            yield type(batch).from_arrays(arrays, schema=columns.schema())
        else:
            yield _made(_rows(batch, file, before), columns, file, before)
        before += batch.num_rows


def _is_valid(batch: pa.RecordBatch) -> bool:
    import pyarrow as pa

    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:  # text that is not UTF-8
        return False
    return True


def _rows(batch: pa.RecordBatch, file: Path, before: int) -> list[tuple[str, Row]]:
    rows = []
    for number in range(batch.num_rows):
        try:
            rows.append(("", batch.slice(number, 1).to_pylist()[0]))
        except ValueError as error:
            raise BadRow(before + number, file.name, str(error)) from None
    return rows


def _made(
    rows: Sequence[tuple[str, Row]], columns: Columns, file: Path, before: int
) -> pa.RecordBatch:
    import pyarrow as pa

    schema = columns.schema()
    kept = []
    for number, (where, row) in enumerate(rows, before):
        try:
            kept.append(columns.row(row))
        except ValueError as error:
            place = f"{file.name}, {where}" if where else file.name
            raise BadRow(number, place, str(error)) from None
    try:
        return pa.RecordBatch.from_pylist(kept, schema=schema)
    except UnicodeEncodeError:  # a lone surrogate, which JSON can contain
        pass
    for number, (one, (where, _)) in enumerate(zip(kept, rows, strict=True), before):
        try:
            pa.RecordBatch.from_pylist([one], schema=schema)
        except UnicodeEncodeError as error:
            raise BadRow(number, f"{file.name}, {where}", f"no Unicode text: {error}") from None
    raise AssertionError("no row is at fault")
