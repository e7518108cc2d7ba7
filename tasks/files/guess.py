"""Guesses the entry of a file or a folder from the names and the values of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from harness.core.errors import nearest
from tasks.base import TaskError
from tasks.files.entry import DataEntry, default_name
from tasks.files.problems import Problems
from tasks.files.reading import Format, Row, first_rows
from tasks.files.source import PART_NAMES, DataFile

SAMPLE = 2_000
"""Rows that are looked at."""

CLASSES = 50
"""Different values of a column of labels, at most."""

_READERS = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json",
    ".parquet": "parquet",
}  # fmt: skip
_KEYS = {"csv": "csv", "json": "jsonl", "parquet": "parquet"}

_TEXTS = ("text", "body", "content", "document", "article", "sentence", "review", "message")
_PAIRS = {
    "sentence1": "sentence2", "premise": "hypothesis", "text1": "text2", "text": "text_pair",
    "question1": "question2", "query": "document", "context": "question", "passage": "question",
    "article": "question",
}  # fmt: skip
_LABELS = ("label", "labels", "class", "category", "topic", "target", "intent", "sentiment", "tags")
_ANSWERS = ("answer", "answers", "summary", "completion", "response", "output")
_NUMBERS = ("score", "rating", "value", "number")
_SPLITS = ("split", "part", "subset", "fold", "partition", "set")


class Column(NamedTuple):
    """The values of a column that are not empty, as they are and as texts."""

    name: str
    values: list[Any]

    @property
    def texts(self) -> list[str]:
        """The values as texts."""
        return [str(value).strip() for value in self.values]

    @property
    def size(self) -> float:
        """The mean number of characters of a text; 0 for other values."""
        return sum(map(len, self.texts)) / len(self.values) if self.is_text else 0.0

    @property
    def is_text(self) -> bool:
        """Whether all values are texts."""
        return bool(self.values) and all(isinstance(v, str) for v in self.values)

    @property
    def is_number(self) -> bool:
        """Whether all values are numbers, or texts of numbers."""
        try:
            return bool([float(text) for text in self.texts])
        except ValueError:
            return False

    @property
    def has_classes(self) -> bool:
        """Whether few values are repeated often."""
        if any(isinstance(value, list) for value in self.values):
            return True
        different = len(set(self.texts))
        return 1 < different <= min(CLASSES, len(self.values) / 2)


class Guess(NamedTuple):
    """An entry, and the columns of its file that it does not use."""

    entry: DataEntry
    unused: tuple[str, ...] = ()


def guess(path: Path, given: Mapping[str, str]) -> Guess:
    """Return the entry of a file or a folder; `given` are keys that the user has set.

    Raises:
        TaskError: it cannot be read, or no column has texts.
    """
    if path.is_dir():
        return Guess(_entry(_folder(path), given))
    if not path.is_file():
        raise TaskError(f"{path}: there is no such file or folder")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise TaskError(f"{path}: the format is unknown: the name has to end in one of {known}")
    start: dict[str, Any] = {_KEYS[reader]: str(path)}
    if reader != "parquet" and (encoding := _encoding(path)):
        start["encoding"] = encoding
    rows = _sample(DataFile(path, reader, "", str(path)), Format(start.get("encoding", "utf-8")))
    columns = [
        Column(name, [v for row in rows if (v := row.values.get(name)) not in (None, "")])
        for name in rows[0].values
    ]
    names = [column.name for column in columns]
    for key, name in given.items():
        if name not in names:
            raise TaskError(f"--{key}: {path} has no column '{name}'.{nearest(name, names)}")
    roles = _roles(columns, given)
    used = {*roles.values(), *given.values()}
    entry = _entry({**start, **roles}, given)
    return Guess(entry, tuple(name for name in names if name not in used))


def _entry(keys: dict[str, Any], given: Mapping[str, str]) -> DataEntry:
    try:
        return DataEntry.model_validate({**keys, **given})
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise TaskError(message) from None


def _folder(path: Path) -> dict[str, Any]:
    folders = sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    parts = {PART_NAMES[name.lower()]: name for name in folders if name.lower() in PART_NAMES}
    if len(parts) == len(folders) > 1:
        places = {part: str(path / name) for part, name in parts.items()}
        keys: dict[str, Any] = {
            "folder": places,
            "name": default_name(path.resolve().name, whole=True),
        }
        inner = [p for p in (path / parts["train"]).iterdir() if p.is_dir()]
        return keys if inner else {**keys, "type": "language_modelling"}
    keys = {"folder": str(path)}
    if path.name != path.resolve().name:
        keys["name"] = default_name(path.resolve().name, whole=True)
    return keys if folders else {**keys, "type": "language_modelling"}


def _encoding(path: Path) -> str:
    """The encoding of a text file, if it is not UTF-8."""
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return ""


def _sample(file: DataFile, form: Format) -> list[Row]:
    problems = Problems()
    rows = first_rows(file, form, SAMPLE, problems)
    if problems.errors or not rows:
        raise TaskError(*(problems.errors or [f"{file.shown}: has no rows"]))
    return rows


def _roles(columns: Sequence[Column], given: Mapping[str, str]) -> dict[str, str]:
    """Which column is which key."""
    left = {column.name: column for column in columns if column.name not in given.values()}
    found: dict[str, str] = {}

    def take(key: str, name: str | None) -> None:
        if name is not None and key not in given:
            found[key] = name
            left.pop(name, None)

    take("split", next((name for name in left if _is_split(left[name])), None))
    text = given.get("text") or _named(left, _PAIRS) or _named(left, _TEXTS)
    text = text or max(left, key=lambda name: left[name].size, default=None)
    take("text", text)
    second = _PAIRS.get((text or "").lower())
    take("second", _named(left, [second]) if second else None)
    if not {"label", "answer", "number"} & set(given):
        key, name = _answer(left)
        take(key, name)
        if key == "label" and name and (mark := _separator(columns, name)):
            found["separator"] = mark
    elif "label" in given and (mark := _separator(columns, given["label"])):
        found["separator"] = mark
    if not {"label", "answer", "number"} & {*found, *given}:
        found.pop("second", None)
    return {key: found[key] for key in ("text", "second", "label") if key in found} | found


def _is_split(column: Column) -> bool:
    parts = {PART_NAMES.get(text.lower(), "") for text in column.texts}
    return column.name.lower() in _SPLITS and {"train", "test"} <= parts and "" not in parts


def _answer(left: Mapping[str, Column]) -> tuple[str, str | None]:
    """The key and the column of the answer; None if there is none."""
    for key, names, fits in (
        ("label", _LABELS, lambda column: column.has_classes),
        ("answer", _ANSWERS, lambda column: not column.is_number),
        ("number", _NUMBERS, lambda column: column.is_number),
    ):
        named = {name: column for name, column in left.items() if fits(column)}
        if (name := _named(named, names)) is not None:
            return key, name
    classes = [name for name, column in left.items() if column.has_classes]
    return "label", classes[-1] if classes else None


def _named(columns: Mapping[str, Column], names: Sequence[str] | Mapping[str, str]) -> str | None:
    """The first column with one of these names, in any case."""
    lower = {name.lower(): name for name in columns}
    return next((lower[name] for name in names if name in lower), None)


def _separator(columns: Sequence[Column], name: str) -> str:
    """What separates several labels in one cell; "" if nothing does."""
    texts = next(column.texts for column in columns if column.name == name)
    return next((mark for mark in (";", "|") if any(mark in text for text in texts)), "")
