"""Reads rows with their place in the file, and collects what cannot be read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import nearest
from tasks.files.problems import Problems
from tasks.files.source import DataFile
from tasks.lib.labels import class_names
from tasks.lib.readers import BadFile, long_fields, parquet_schema

DELIMITERS = ",;\t|"
"""Those that are looked for in the header of a CSV file."""

TEXT = "text"
"""The column of a text file."""


class Row(NamedTuple):
    """A row of a file.

    Attributes:
        place: where it is in the file, such as "line 14".
        values: by column.
    """

    file: DataFile
    place: str
    values: Mapping[str, Any]


class Format(NamedTuple):
    """How text files are read; without a delimiter it is taken from the header."""

    encoding: str = "utf-8"
    delimiter: str | None = None


def read_rows(
    file: DataFile, form: Format, wanted: Sequence[str] | None, problems: Problems
) -> Iterator[Row]:
    """Yield the rows of a file; what cannot be read is added to `problems`.

    Args:
        file: the file.
        form: of text files.
        wanted: the columns that the file must have; None: all that it has are read.
        problems: receives errors.
    """
    readers = {"csv": _csv, "json": _json, "parquet": _parquet, "text": _text}
    try:
        yield from readers[file.reader](file, form, wanted, problems)
    except UnicodeDecodeError:
        problems.error(file.shown, *_encoding_fault(file.path, form.encoding))
    except BadFile as error:
        problems.error(file.shown, str(error), "")
    except OSError as error:
        problems.error(file.shown, f"cannot be read: {error.strerror}", "")


def _csv(
    file: DataFile, form: Format, wanted: Sequence[str] | None, problems: Problems
) -> Iterator[Row]:
    with _opened(file.path, form) as text, long_fields():
        start = text.readline()
        text.seek(0)
        delimiter = form.delimiter or max(DELIMITERS, key=_outside_quotes(start).count)
        rows = csv.reader(text, strict=True, delimiter=delimiter)
        line = 1
        try:
            head = next(rows, [])
            if not _has_columns(file, head, wanted, problems):
                return
            line = rows.line_num + 1
            for cells in rows:
                where, line = f"line {line}", rows.line_num + 1
                if not cells:
                    continue
                if len(cells) != len(head):
                    problems.error(
                        file.shown,
                        f"the row has not as many cells as the header ({len(head)})",
                        f"a cell with a delimiter ({delimiter!r}), a quote or a line break needs "
                        'quotes around it, and a quote in it is doubled ("")',
                        where,
                    )
                    continue
                yield Row(file, where, dict(zip(head, cells, strict=True)))
        except csv.Error as error:
            why = "a cell opens with a quote that is never closed"
            if "end of data" not in str(error):
                why = f"the row is no CSV ({error})"
            problems.error(
                file.shown,
                f"{why}; the rows after it cannot be read",
                'close the quote, and double a quote inside a cell ("")',
                f"line {line}",
            )


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _json(
    file: DataFile, form: Format, wanted: Sequence[str] | None, problems: Problems
) -> Iterator[Row]:
    with _opened(file.path, form) as text:
        first = next((line for line in text if line.strip()), "")
        text.seek(0)
        if first.lstrip()[:1] == "[":
            try:
                listed = json.load(text)
            except (ValueError, RecursionError) as error:
                raise BadFile(f"is no JSON ({error})") from None
            found: Iterator[tuple[str, Any]] = (
                (f"entry {k}", row) for k, row in enumerate(listed, 1)
            )
        else:
            found = _json_lines(file, text, problems)
        checked = False
        for where, row in found:
            if not isinstance(row, dict):
                problems.error(file.shown, "is no JSON object", "", where)
                continue
            if not checked:
                checked = True
                if not _has_columns(file, list(row), wanted, problems):
                    return
            yield Row(file, where, row)


def _json_lines(file: DataFile, text: io.TextIOBase, problems: Problems) -> Iterator[Any]:
    for number, line in enumerate(text, 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError):
                advice = "each line is one JSON object"
                problems.error(file.shown, "is no JSON", advice, f"line {number}")


def _parquet(
    file: DataFile, form: Format, wanted: Sequence[str] | None, problems: Problems
) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = parquet_schema(file.path)
    if not _has_columns(file, schema.names, wanted, problems):
        return
    columns = schema.names if wanted is None else [*dict.fromkeys(wanted)]
    names = {column: known for column in columns if (known := class_names(schema, column))}
    number = 0
    try:
        with pq.ParquetFile(file.path) as table:
            for batch in table.iter_batches(200, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    named = {c: _named(row[c], names[c]) for c in names}
                    yield Row(file, f"row {number}", {**row, **named})
    except (pa.ArrowException, ValueError) as error:
        raise BadFile(f"is damaged ({error})") from None


def _named(value: Any, names: Sequence[str]) -> Any:
    """The names of labels that are stored as numbers; -1, unpublished, is no label."""
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    if type(value) is not int:
        return value
    return names[value] if 0 <= value < len(names) else None


def _text(
    file: DataFile, form: Format, wanted: Sequence[str] | None, problems: Problems
) -> Iterator[Row]:
    with _opened(file.path, form) as text:
        yield Row(file, "", {TEXT: text.read()})


def _opened(path: Path, form: Format) -> io.TextIOWrapper:
    """Open a text file; a byte order mark of UTF-8 is no part of the text."""
    plain = form.encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    encoding = "utf-8-sig" if plain else form.encoding
    return path.open(encoding=encoding, newline="")


def _has_columns(
    file: DataFile, there: Sequence[str], wanted: Sequence[str] | None, problems: Problems
) -> bool:
    """Report missing and doubled columns; return whether the file can be read."""
    if not there:
        problems.error(file.shown, "is empty", "")
        return False
    wrong = False
    for column in dict.fromkeys(wanted if wanted is not None else there):
        if column not in there:
            wrong = True
            hint = nearest(column, there)
            problems.error(file.shown, f"there is no column '{column}'.{hint}", "")
        elif list(there).count(column) > 1:
            wrong = True
            problems.error(file.shown, f"there are two columns '{column}'", "rename one of them")
    return not wrong


def _encoding_fault(path: Path, encoding: str) -> tuple[str, str, str]:
    """What, advice and place of the first bytes that are not in an encoding."""
    with path.open("rb") as file:
        start = file.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return "is encoded as UTF-16", "write `encoding: utf-16`", "line 1"
        file.seek(0)
        for number, line in enumerate(file, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                byte = line[error.start]
                return (
                    f"the byte 0x{byte:02x} is not {encoding.upper()}",
                    "write `encoding: cp1252` if the file is from Excel or Windows, or save it as "
                    "UTF-8",
                    f"line {number}",
                )
    return f"is not {encoding.upper()}", "write its encoding, for example `encoding: cp1252`", ""


def first_rows(file: DataFile, form: Format, most: int, problems: Problems) -> list[Row]:
    """The first rows of a file with all columns."""
    return list(islice(read_rows(file, form, None, problems), most))
