"""The task of an entry: its files are read once, checked, divided, and kept in the cache."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, ClassVar, NamedTuple

from pydantic import ValidationError

from tasks.base import Example, Splits, Task, TaskError, TaskMetadata
from tasks.card import SPECIAL
from tasks.conformance import BALANCED, MOST
from tasks.files.dealing import deal, is_published
from tasks.files.entry import DataEntry
from tasks.files.examples import Examples, make_examples
from tasks.files.problems import Problems
from tasks.files.reading import Format, Row, read_rows
from tasks.files.source import DataFile, common_folder, find_files
from tasks.lib.cache import cached, kept
from tasks.lib.pins import pin
from tasks.lib.rows import shuffle_train

VERSION = 2
"""Increase when the same files and the same entry give other examples or splits."""

_A_WORD = 4 / 3
"""Tokens of a word, roughly."""


class FileTask(Task):
    """A task whose data and metadata are those of an entry. `file_task` makes its subclasses."""

    data: ClassVar[_Prepared]

    def version(self) -> str:
        """A checksum of the files."""
        return self.metadata.revision

    def data_warnings(self) -> Sequence[str]:
        """What was found in the rows."""
        return self.data.warnings

    def splits(self, length: int, seed: int) -> Splits:
        """The same texts at every length; the seed orders the training texts."""
        return shuffle_train(self.data.splits, seed)


class _Prepared(NamedTuple):
    splits: Splits
    metadata: dict[str, Any]
    warnings: list[str]


def file_task(entry: DataEntry) -> Task:
    """Return the task of an entry with absolute paths.

    Raises:
        TaskError: everything that is wrong with its files, one argument for each line.
        MissingData: its repository is not on this machine.
    """
    files = find_files(entry)
    content = pin(entry.name, [file.path for file in files], common_folder(files))
    revision = f"{content}.{VERSION}"
    key = f"{revision} {entry.model_dump_json()}"
    made: list[_Prepared] = []

    def prepared() -> _Prepared:
        if not made:
            made.append(_prepare(entry, files))
        return made[0]

    about = json.loads(kept(entry.name, f"{key} about", lambda: _about(prepared())))
    splits = cached(entry.name, key, lambda: prepared().splits, watch=False, quiet=True)
    data = _Prepared(splits, about["metadata"], about["warnings"])
    metadata = _metadata(entry, {**data.metadata, "revision": revision})
    name = "".join(word.capitalize() for word in entry.name.split("_"))
    made_for = type(name, (FileTask,), {"metadata": metadata, "data": data})
    task: Task = made_for()
    return task


def read_entry(entry: DataEntry, files: Sequence[DataFile], problems: Problems) -> list[Row]:
    """Read the rows of all files, with the columns that the entry names."""
    columns = (entry.text, entry.second, entry.label, entry.answer, entry.number, entry.split)
    wanted = [column for column in columns if column]
    form = Format(entry.encoding, entry.delimiter)
    return [row for file in files for row in read_rows(file, form, wanted, problems)]


def _about(prepared: _Prepared) -> bytes:
    about = {"metadata": prepared.metadata, "warnings": prepared.warnings}
    return json.dumps(about).encode()


def _prepare(entry: DataEntry, files: Sequence[DataFile]) -> _Prepared:
    problems = Problems()
    rows = read_entry(entry, files, problems)
    if not rows:
        _refuse(entry, problems)
    examples = make_examples(entry, rows, problems)
    _refuse(entry, problems)
    fields = _fields(entry, files, examples)
    metadata = _metadata(entry, {**fields, "revision": "unread"})
    splits = deal(entry, metadata, examples, problems)
    _refuse(entry, problems)
    fields["balanced"] = _balanced(metadata, shuffle_train(splits, 0).train[:MOST])
    return _Prepared(splits, fields, problems.warnings)


def _refuse(entry: DataEntry, problems: Problems) -> None:
    """Raise the errors, with the warnings after them, so that a file is corrected once."""
    if problems.errors:
        lines = [*problems.errors, *(f"warning: {line}" for line in problems.warnings)]
        raise TaskError(*(f"{entry.name}: {line}" for line in lines))


def _fields(entry: DataEntry, files: Sequence[DataFile], examples: Examples) -> dict[str, Any]:
    """The metadata that the data and the entry decide."""
    family = examples.family
    words = sorted(len(f"{m.example.text} {m.example.second}".split()) for m in examples.made)
    longest = round(_A_WORD * words[-1]) + SPECIAL
    lengths = [length for length in (2**k for k in range(4, 21)) if length <= longest] or [16]
    fields: dict[str, Any] = {
        "family": family,
        "labels": examples.labels,
        "value_range": examples.span,
        "source": f"{entry.hub or _named(files)}",
        "natural_length": max(1, round(_A_WORD * median(words))),
        "lengths": lengths,
        "published_splits": is_published(entry),
    }
    if any(m.example.answers for m in examples.made):
        answers = max(len(a.split()) for m in examples.made for a in m.example.answers)
        fields["answer_tokens"] = min(128, max(8, 2 * answers))
    return fields


def _named(files: Sequence[DataFile]) -> str:
    """The names of files, without the folders of the user's machine."""
    if files[0].reader == "text":
        return f"{len(files):,} text files"
    return ", ".join(file.path.name for file in files)


def _metadata(entry: DataEntry, fields: Mapping[str, Any]) -> TaskMetadata:
    """The metadata of the task.

    Raises:
        TaskError: a key of the entry does not fit the data, such as an unknown metric.
    """
    answer = entry.label or entry.answer or entry.number
    source = fields["source"]
    given = {"metric": entry.metric, "answer_tokens": entry.answer_tokens}
    try:
        return TaskMetadata(
            name=entry.name,
            title=entry.title or f"{entry.name} ({source})",
            description=entry.description or _description(entry, answer),
            citation="none",
            licence=entry.licence,
            whole_texts=entry.whole_texts,
            **{**fields, **{key: value for key, value in given.items() if value is not None}},
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise TaskError(
            f"{entry.name}: {where}{first['msg'].removeprefix('Value error, ')}"
        ) from None


def _description(entry: DataEntry, answer: str | None) -> str:
    if entry.format == "folder":
        return "The subfolder of a text file." if entry.type is None else "Text files."
    texts = " and ".join(f"'{column}'" for column in (entry.text, entry.second) if column)
    return f"The column '{answer}', given {texts}." if answer else f"The texts of {texts}."


def _balanced(metadata: TaskMetadata, train: Sequence[Example]) -> bool:
    """Whether the classes of the training split are balanced as `TaskMetadata` says."""
    kind = metadata.task_type
    counts = Counter(label for example in train for label in kind.labels(example))
    rarest = min((counts[label] for label in range(len(metadata.labels))), default=0)
    return max(counts.values(), default=0) <= BALANCED * rarest
