"""Readers of the needed columns of Parquet, JSON and CSV files."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.lib.columns import Columns, leaf_pattern

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 200
"""Rows in memory at once (for whole books, 100 MB)."""

Row = Mapping[str, Any]


class BadFile(Exception):
    """A file that cannot be read, and why."""


class MissingColumn(BadFile):
    """A file without a column that is needed."""


def read_json(path: Path, columns: Columns) -> Iterator[tuple[str, Row]]:
    """Yield (place, row) of a JSON list of objects or of JSON Lines.

    Raises:
        BadFile, MissingColumn: it is neither, or its first row lacks a column.
    """
    with path.open(encoding="utf-8-sig") as file, _text(path):
        listed = _first_sign(file) == "["
        rows = _listed(file) if listed else _lines(file)
        for number, (where, row) in enumerate(rows):
            if not isinstance(row, dict):
                raise BadFile(f"holds no objects ({where} is a {type(row).__name__})")
            if not number:
                _check_heads(list(row), columns)
            yield where, row


def read_csv(path: Path, columns: Columns) -> Iterator[tuple[str, Row]]:
    """Yield (place, row) of a table with a header; every cell is text, unchanged.

    Raises:
        BadFile, MissingColumn: it is no such table.
    """
    with path.open(encoding="utf-8-sig", newline="") as file, _text(path), long_fields():
        rows = csv.reader(file, strict=True)
        head = next(rows, [])
        _check_heads(head, columns)
        places = {name: place for place, name in enumerate(head)}
        for cells in rows:
            if not cells:
                continue
            where = f"line {rows.line_num}"
            if len(cells) != len(head):
                raise BadFile(f"is no CSV table ({where}: {len(cells)} cells, {len(head)} columns)")
            yield where, {name: cells[places[name]] for name in columns.heads}


def read_parquet(path: Path, columns: Columns) -> Iterator[pa.RecordBatch]:
    """Yield the needed columns in batches, with the needed nested fields only.

    Raises:
        BadFile, MissingColumn: no Parquet file, or one without a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_heads(file.schema_arrow.names, columns)
            leaves = [file.schema.column(number).path for number in range(len(file.schema.names))]
            yield from file.iter_batches(BATCH, columns=_needed(leaves, columns))
    except (pa.ArrowException, OSError) as error:
        raise BadFile(f"is damaged or no Parquet file ({error})") from None


def parquet_schema(path: Path) -> pa.Schema:
    """The Arrow schema of a Parquet file, with the metadata of the datasets library.

    Raises:
        BadFile: no Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise BadFile(f"is damaged or no Parquet file ({error})") from None


def _needed(leaves: Sequence[str], columns: Columns) -> list[str]:
    """The leaves of a Parquet schema that are read; all leaves of a column without the fields."""
    needed: set[str] = set()
    for path in columns.paths:
        head, pattern = path.partition(".")[0], leaf_pattern(path)
        own = [leaf for leaf in leaves if pattern.fullmatch(leaf)]
        needed.update(own or (leaf for leaf in leaves if f"{leaf}.".startswith(f"{head}.")))
    return [leaf for leaf in leaves if leaf in needed]


def _check_heads(there: Sequence[str], columns: Columns) -> None:
    for head in columns.heads:
        if there.count(head) != 1:
            what = "no column" if head not in there else "more than one column"
            raise MissingColumn(f"has {what} '{head}', only {', '.join(there)}")


def _lines(file: Any) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadFile(f"is no JSON (line {number}: {error})") from None


def _listed(file: Any) -> Iterator[tuple[str, Any]]:
    try:
        rows = json.load(file)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"is no JSON ({error})") from None
    yield from ((f"entry {number}", row) for number, row in enumerate(rows, 1))


def _first_sign(file: Any) -> str:
    """The first non-space character; afterwards the file is at its beginning."""
    found = ""
    while not found and (piece := file.read(1024)):
        found = piece.strip()[:1]
    file.seek(0)
    return found


@contextmanager
def _text(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise BadFile("is not UTF-8 text") from None
    except csv.Error as error:
        raise BadFile(f"is no CSV table ({error})") from None


@contextmanager
def long_fields() -> Iterator[None]:
    """Allow cells as long as a book."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
