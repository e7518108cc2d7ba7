"""An entry under `tasks` that defines a task: `{csv: reviews.csv, text: body, label: topic}`."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, model_validator

from harness.core.errors import nearest
from tasks.base import Splits

PARTS = Splits._fields
FORMATS = ("csv", "jsonl", "parquet", "folder", "hub")
"""The key that says where the data is. An entry has one of them."""


class Form(NamedTuple):
    """The keys that an entry of a task type needs beside `text`, and what its answers are."""

    keys: tuple[str, ...]
    answer: Literal["class", "classes", "text", "number", "nothing"]


TYPES = {
    "classification": Form(("label",), "class"),
    "pair": Form(("second", "label"), "class"),
    "multilabel": Form(("label",), "classes"),
    "generation": Form(("answer",), "text"),
    "regression": Form(("number",), "number"),
    "language_modelling": Form((), "nothing"),
}
"""The task types that an entry can have."""

COLUMNS = ("text", "second", "label", "answer", "number", "split")
"""Keys whose value is the name of a column."""

_OTHER_NAMES = {
    **dict.fromkeys(("text_pair", "question", "text2", "sentence2", "second_text"), "second"),
    **dict.fromkeys(("labels", "target", "class", "y", "category"), "label"),
    **dict.fromkeys(("answers", "output", "completion", "response", "summary"), "answer"),
    **dict.fromkeys(("value", "score", "rating"), "number"),
    **dict.fromkeys(("content", "body", "document", "sentence", "input", "x"), "text"),
    **dict.fromkeys(("json", "ndjson"), "jsonl"),
    **dict.fromkeys(("tsv", "file", "table"), "csv"),
    **dict.fromkeys(("directory", "dir"), "folder"),
    **dict.fromkeys(("dataset", "repository", "repo", "huggingface", "hf"), "hub"),
    **dict.fromkeys(("configuration", "subset"), "config"),
    **dict.fromkeys(("sep", "dialect"), "delimiter"),
    **dict.fromkeys(("family", "task", "task_type", "kind"), "type"),
    **dict.fromkeys(("license",), "licence"),
}
"""What people write -> the key."""


class DataEntry(BaseModel):
    """Where the data of a task is, and what its columns mean. docs/own-data.md explains each key.

    After validation `name` is set. `located` makes paths absolute.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    csv: str | dict[str, str] | None = None
    jsonl: str | dict[str, str] | None = None
    parquet: str | dict[str, str] | None = None
    folder: str | dict[str, str] | None = None
    hub: str | None = None
    config: str = ""
    name: str = ""
    type: str | None = None
    text: str | None = None
    second: str | None = None
    label: str | None = None
    answer: str | None = None
    number: str | None = None
    separator: str | None = None
    split: str | None = None
    splits: dict[str, str] = {}
    shares: tuple[float, ...] = (70, 10, 20)
    seed: int = 0
    encoding: str = "utf-8"
    delimiter: str | None = None
    skip_incomplete: bool = False
    whole_texts: bool = False
    metric: str | None = None
    answer_tokens: int | None = None
    title: str | None = None
    description: str | None = None
    licence: str = "not stated"

    @model_validator(mode="before")
    @classmethod
    def _checked(cls, data: Any) -> Any:
        """Check everything that needs no file, and find the name."""
        if not isinstance(data, dict):
            return data
        if wrong := list(_faults(data, cls)):
            raise ValueError("; ".join(wrong))
        return data if "name" in data else {**data, "name": _name(data)}

    @property
    def format(self) -> str:
        """One of `FORMATS`."""
        return next(key for key in FORMATS if getattr(self, key) is not None)

    @property
    def places(self) -> dict[str, str]:
        """The path of each split's file or folder; of one for all splits the key is ""."""
        given = getattr(self, self.format)
        return dict(given) if isinstance(given, dict) else {"": given}

    def located(self, folder: Path) -> DataEntry:
        """Return the entry with absolute paths; `folder` is that of the sweep file."""
        return self._with_paths(lambda path: os.path.normpath(folder.absolute() / path))

    def as_given(self, folder: Path | None = None) -> dict[str, Any]:
        """Return the entry as in a sweep file; paths are relative to `folder`, if it is given."""
        entry = self
        if folder is not None:
            entry = self._with_paths(lambda path: os.path.relpath(path, folder.absolute()))
        return entry.model_dump(mode="json", exclude_unset=True)

    def _with_paths(self, change: Any) -> DataEntry:
        key = self.format
        if key == "hub":
            return self
        given = getattr(self, key)
        new = {k: change(p) for k, p in given.items()} if isinstance(given, dict) else change(given)
        return self.model_copy(update={key: new})

    def type_for(self, lists: bool) -> str:
        """Return the task type; `lists` says whether the labels are lists."""
        if self.type:
            return self.type
        if self.answer:
            return "generation"
        if self.number:
            return "regression"
        if self.label and (self.separator or lists):
            return "multilabel"
        if self.label and self.second:
            return "pair"
        return "classification" if self.label or self.folder else "language_modelling"


def _faults(data: Mapping[Any, Any], model: type[DataEntry]) -> Any:
    """Yield what is wrong with an entry, before its files are read."""
    known = list(model.model_fields)
    for key in data:
        if key not in known:
            meant = _OTHER_NAMES.get(str(key).lower())
            hint = f" Did you mean '{meant}'?" if meant else nearest(str(key), known)
            yield f"unknown key '{key}'.{hint}"
    given = [key for key in FORMATS if data.get(key) is not None]
    if len(given) != 1:
        found = f"found {' and '.join(given)}" if given else "found none"
        yield f"one of {', '.join(FORMATS)} says where the data is ({found})"
        return
    yield from _path_faults(given[0], data)
    yield from _column_faults(given[0], data)
    yield from _type_faults(given[0], data)
    yield from _value_faults(data)
    name = data.get("name", _name(data))
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        yield (
            f"name: write a name of lower-case letters, digits and underscores, such as "
            f"`name: reviews` (found {name!r})"
        )


def _path_faults(key: str, data: Mapping[Any, Any]) -> Any:
    given = data[key]
    if isinstance(given, dict):
        if key == "hub":
            yield "hub: write owner/name"
            return
        yield from _part_faults(key, given)
        if "name" not in data:
            yield f"name: is needed where {key} has several files"
        if "split" in data:
            yield f"split: the files under {key} are the splits already: remove it"
    elif not isinstance(given, str) or not given.strip():
        yield f"{key}: expected a path (found {given!r})"
    if key == "hub" and not re.fullmatch(r"[\w.-]+/[\w.-]+", str(given)):
        yield f"hub: expected owner/name (found {given!r})"
    for other, of in (("config", "hub"), ("delimiter", "csv")):
        if other in data and key != of:
            yield f"{other}: is for {of} only"


def _part_faults(key: str, given: Mapping[Any, Any]) -> Any:
    """Check a mapping from splits to names or files."""
    for part, value in given.items():
        if part not in PARTS:
            yield f"{key}: unknown split '{part}'.{nearest(str(part), PARTS)}"
        elif not isinstance(value, str) or not value.strip():
            yield f"{key}.{part}: expected a text (found {value!r})"
    for part in ("train", "test"):
        if part not in given:
            yield f"{key}: '{part}' is missing (validation alone is cut from train if it is)"


def _column_faults(key: str, data: Mapping[Any, Any]) -> Any:
    for column in COLUMNS:
        value = data.get(column)
        if column in data and (not isinstance(value, str) or not value):
            yield f"{column}: expected the name of a column: put it in quotes (found {value!r})"
    if key == "folder":
        used = [column for column in COLUMNS if column in data]
        if used:
            yield f"{used[0]}: a folder has no columns: its subfolders are the classes"
    elif "text" not in data:
        yield "text: is missing: name the column with the texts, for example `text: body`"
    if key == "hub" and "split" not in data and "splits" not in data:
        return  # the splits are named as usual
    if "splits" in data and key != "hub" and "split" not in data:
        yield "splits: says what the values of a split column mean: add `split: COLUMN`"


def _type_faults(key: str, data: Mapping[Any, Any]) -> Any:
    kind = data.get("type")
    if kind is not None and kind not in TYPES:
        yield f"type: no type '{kind}' for data in files.{nearest(str(kind), TYPES)}"
        return
    answers = [column for column in ("label", "answer", "number") if column in data]
    if len(answers) > 1:
        yield f"{' and '.join(answers)}: a task has one kind of answer: keep one of them"
    if key == "folder":
        if kind and TYPES[kind] not in (Form(("label",), "class"), Form((), "nothing")):
            yield f"type: a folder of texts is no {kind}: use csv or jsonl"
        return
    form = TYPES.get(kind or "", Form((), "nothing"))
    if form.answer == "number" and "label" in data:
        yield f"label: a regression predicts a number: write `number: {data['label']}`"
        return
    for column in form.keys:
        if column not in data:
            yield f"{column}: is missing: {kind} needs it"
    if "second" in data and not answers:
        yield "second: add the column of the answers: label, answer or number"


def _value_faults(data: Mapping[Any, Any]) -> Any:
    if "splits" in data:
        given = data["splits"]
        if isinstance(given, dict):
            yield from _part_faults("splits", given)
        else:
            yield "splits: expected names of splits, as in {train: training, test: eval}"
    if "encoding" in data:
        try:
            codecs.lookup(str(data["encoding"]))
        except LookupError:
            yield f"encoding: there is no encoding '{data['encoding']}': for example cp1252, utf-16"
    for key in ("delimiter", "separator"):
        if key in data and (not isinstance(data[key], str) or not data[key]):
            yield f"{key}: expected a character in quotes"
    if len(str(data.get("delimiter", ","))) > 1:
        yield "delimiter: expected one character"
    shares = data.get("shares", [70, 10, 20])
    numbers = isinstance(shares, list | tuple) and len(shares) == 3
    if not numbers or not all(type(s) in (int, float) and s > 0 for s in shares):
        yield "shares: expected three positive numbers, of train, validation and test: [70, 10, 20]"


def _name(data: Mapping[Any, Any]) -> str:
    """A name made of the file's, the folder's or the repository's."""
    given = next((data[key] for key in FORMATS if data.get(key) is not None), "")
    if isinstance(given, dict):
        given = next(iter(given.values()), "")
    return default_name(str(given), whole="hub" in data or "folder" in data)


def default_name(place: str, whole: bool) -> str:
    """The name of an entry without the key `name`; `whole` keeps what follows a point."""
    stem = Path(place).name if whole else Path(place).stem
    return re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
