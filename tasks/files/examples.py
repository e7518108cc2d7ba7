"""Makes examples of rows, and finds missing texts, missing answers and odd labels."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from tasks.base import Example
from tasks.files.entry import TYPES, DataEntry
from tasks.files.problems import Problems, listed
from tasks.files.reading import TEXT, Row

FEWEST = 10
"""Rows of a task, at least."""

MANY = 20
"""Classes from which on they are compared with the rows: numbers and texts are no classes."""

_SKIP = "fill in the rows or delete them, or write `skip_incomplete: true` to leave them out"


class Made(NamedTuple):
    """An example with its row."""

    example: Example
    row: Row


class Examples(NamedTuple):
    """All examples of a task, their type, the names of the classes, and the range of numbers."""

    family: str
    made: list[Made]
    labels: tuple[str, ...]
    span: tuple[float, float] | None


class _Answer(NamedTuple):
    """The answer of a row: names of labels, texts or a number."""

    labels: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    value: float | None = None


def make_examples(entry: DataEntry, rows: Sequence[Row], problems: Problems) -> Examples:
    """Make an example of each complete row; add errors and warnings to `problems`."""
    lists = any(isinstance(row.values.get(entry.label or ""), list) for row in rows)
    family = entry.type_for(lists)
    kind = TYPES[family].answer
    found = [
        (row, text, second, answer)
        for row in rows
        if (text := _text(entry, row, entry.text or TEXT, "the text", problems)) is not None
        and (second := _second(entry, row, problems)) is not None
        and (answer := _answer(entry, row, kind, problems)) is not None
    ]
    names = tuple(sorted({n for *_, a in found for n in a.labels}, key=_order))
    if kind in ("class", "classes"):
        _check_labels(entry, kind, names, [(row, a.labels) for row, *_, a in found], problems)
    numbers = {name: number for number, name in enumerate(names)}
    values = [answer.value for *_, answer in found if answer.value is not None]
    span = (min(values), max(values)) if values else None
    if span and span[0] == span[1]:
        problems.error(
            _file(rows), f"all numbers in the column '{entry.number}' are {span[0]:g}", ""
        )
    made = []
    for row, text, second, answer in found:
        labels = tuple(sorted({numbers[name] for name in answer.labels}))
        one = kind == "class"
        example = Example(
            _id(row),
            text,
            labels[0] if one else -1,
            second,
            () if one else labels,
            answers=answer.answers,
            value=answer.value,
        )
        made.append(Made(example, row))
    if len(made) < FEWEST and not problems.errors:
        problems.error(
            _file(rows), f"only {len(made)} rows can be used", f"at least {FEWEST} are needed"
        )
    return Examples(family, made, names, span)


def _id(row: Row) -> str:
    """The file and the place: unique, and readable for whoever looks for the row."""
    return f"{row.file.shown}:{row.place.partition(' ')[2]}" if row.place else row.file.shown


def _order(name: str) -> tuple[bool, float, str]:
    """Numbers by their value, before other names."""
    try:
        return (False, float(name), name)
    except ValueError:
        return (True, 0.0, name)


def _text(entry: DataEntry, row: Row, column: str, what: str, problems: Problems) -> str | None:
    """The text in a column; None, and an error, if there is none."""
    value = row.values.get(column)
    if isinstance(value, list | dict):
        kind = type(value).__name__
        problems.error(row.file.shown, f"{what} (column '{column}') is a {kind}", "", row.place)
        return None
    text = _as_text(value)
    if text.strip():
        return text
    where = f" (column '{column}')" if entry.text else ""
    _incomplete(entry, row, f"{what}{where} is empty", problems)
    return None


def _incomplete(entry: DataEntry, row: Row, what: str, problems: Problems) -> None:
    place = row.place or row.file.label
    if entry.skip_incomplete:
        problems.warn(row.file.shown, f"{what}: left out", "", place)
    elif not row.place:  # a text file
        problems.error(row.file.shown, what, "delete it, or write `skip_incomplete: true`")
    else:
        problems.error(row.file.shown, what, _SKIP, place)


def _as_text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _second(entry: DataEntry, row: Row, problems: Problems) -> str | None:
    return _text(entry, row, entry.second, "the second text", problems) if entry.second else ""


def _answer(entry: DataEntry, row: Row, kind: str, problems: Problems) -> _Answer | None:
    """The answer of a row; None, and an error, if there is none."""
    if kind == "classes":
        return _Answer(tuple(dict.fromkeys(_labels(entry, row))))
    if kind == "class":
        if row.file.reader == "text":
            return _Answer((row.file.label,))
        label = _text(entry, row, entry.label or "", "the label", problems)
        return None if label is None else _Answer((_tidy(entry, row, label, problems),))
    if kind == "text":
        given = row.values.get(entry.answer or "")
        texts = tuple(
            filter(str.strip, map(_as_text, given if isinstance(given, list) else [given]))
        )
        if not texts:
            _incomplete(entry, row, f"the answer (column '{entry.answer}') is empty", problems)
            return None
        return _Answer(answers=texts)
    if kind == "number":
        return _number(entry, row, problems)
    return _Answer()


def _tidy(entry: DataEntry, row: Row, label: str, problems: Problems) -> str:
    """A label without white space around it, which is hard to see in a file."""
    tidy = " ".join(label.split())
    if tidy != label:
        problems.warn(
            row.file.shown, "the label has spaces around it or in a row", "they are ignored",
            row.place,
        )  # fmt: skip
    return tidy


def _labels(entry: DataEntry, row: Row) -> Iterator[str]:
    given = row.values.get(entry.label or "")
    if not isinstance(given, list):
        text = _as_text(given)
        given = text.split(entry.separator) if entry.separator else [text]
    for item in given:
        if label := " ".join(_as_text(item).split()):
            yield label


def _number(entry: DataEntry, row: Row, problems: Problems) -> _Answer | None:
    text = _text(entry, row, entry.number or "", "the number", problems)
    if text is None:
        return None
    try:
        value = float(text)
        if math.isfinite(value):
            return _Answer(value=value)
    except ValueError:
        pass
    problems.error(
        row.file.shown,
        f"the value in the column '{entry.number}' is no number",
        "write numbers such as 3.5, with a point",
        row.place,
    )
    return None


def _file(rows: Sequence[Row]) -> str:
    """The file of all rows; "" if there are several."""
    files = {row.file.shown for row in rows}
    return files.pop() if len(files) == 1 else ""


def _check_labels(
    entry: DataEntry,
    kind: str,
    names: Sequence[str],
    rows: Sequence[tuple[Row, tuple[str, ...]]],
    problems: Problems,
) -> None:
    """Find one class only, names that differ in case, classes of one row, and too many classes."""
    counts = Counter(name for _, labels in rows for name in labels)
    file = _file([row for row, _ in rows])
    column = f"the column '{entry.label}'" if entry.label else "the folder"
    if rows and len(names) < 2:
        only = f"only the class '{names[0]}'" if names else "no class"
        problems.error(file, f"{column} has {only}", "at least two classes are needed")
        return
    if kind == "class" and len(names) >= MANY and 2 * len(names) > len(rows):
        problems.error(
            file,
            f"{column} has {len(names):,} different values in {len(rows):,} rows: these are no "
            f"classes",
            f"for numbers write `number: {entry.label}`, for texts to write `answer: "
            f"{entry.label}`",
        )
        return
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[name.casefold()].append(name)
    first: dict[str, str] = {}
    for row, labels in rows:
        for name in labels:
            first.setdefault(
                name, " ".join(filter(None, ("" if file else row.file.shown, row.place)))
            )
    for same in alike.values():
        if len(same) > 1:
            found = ", ".join(f"'{n}' ({counts[n]:,}, first {first[n]})" for n in same)
            advice = "write them alike in the file"
            problems.error(file, f"the classes {found} differ only in case", advice)
    if rare := [name for name in names if counts[name] == 1]:
        shown = listed([f"'{name}' ({first[name]})" for name in rare])
        problems.warn(
            file, f"{len(rare)} of the {len(names)} classes have one row only: {shown}", ""
        )


def without_copies(
    examples: Examples, content: Callable[[Example], Hashable], problems: Problems, keep: bool
) -> list[Made]:
    """Warn of texts with different labels; return the examples without repeated rows.

    With `keep`, repeated rows stay.
    """
    seen: defaultdict[Hashable, dict[Hashable, Row]] = defaultdict(dict)
    kept: list[Made] = []
    for made in examples.made:
        example, row = made
        known = seen[content(example), example.second]
        answer = (example.label, example.labels, example.answers, example.value)
        place = row.place or row.file.shown
        if answer in known:
            if keep:
                kept.append(made)
                continue
            where = row.place or "this file"
            problems.warn(row.file.shown, "a copy of an earlier row", "it is used once", where)
            continue
        if known and examples.labels:
            earlier = next(iter(known.values()))
            where = f"{place} (and {earlier.place or earlier.file.shown})"
            what = "the same text with different labels"
            problems.warn(row.file.shown, what, "check which one is right", where)
        known[answer] = row
        kept.append(made)
    return kept
