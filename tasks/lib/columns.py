"""The columns that a task reads of a file, down to the fields within, and what must be in them.

A column is written as a path: `document.summary.text` is a field of a field, `answers.*.text` is
`text` in each of a list. Its last step is text, a label (in the columns `label` and `labels`; a
number where the task has no names of labels) or bytes (a field `bytes`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.lib.labels import Labels

if TYPE_CHECKING:
    import pyarrow as pa

Tree = dict[str, Any]
"""Columns by their steps; each path ends with its kind: text, label, number or bytes."""


class Columns:
    """What a task reads of each row."""

    def __init__(self, paths: Sequence[str], labels: Labels) -> None:
        self.paths, self.labels = tuple(paths), labels
        self.tree: Tree = {}
        for path in paths:
            *steps, last = path.split(".")
            place = self.tree
            for step in steps:
                place = place.setdefault(step, {})
            # Labels without names are the values of a regression.
            number = kind(path) == "label" and not labels.names
            place[last] = "number" if number else kind(path)

    @property
    def heads(self) -> list[str]:
        """The columns' own names."""
        return list(self.tree)

    @property
    def label_heads(self) -> list[str]:
        """Those that hold labels."""
        return [path.partition(".")[0] for path in self.paths if kind(path) == "label"]

    def schema(self) -> pa.Schema:
        """The Arrow types of what is kept: text, labels (int64), numbers (float64), bytes."""
        import pyarrow as pa

        return pa.schema([(head, _type(branch)) for head, branch in self.tree.items()])

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What is read of a row, labels as numbers.

        Raises:
            ValueError: something else stands in a column, or nothing.
        """
        for path in self.paths:
            _check(row, path)
        return {head: self._pick(row[head], branch) for head, branch in self.tree.items()}

    def _pick(self, value: Any, branch: Tree | str) -> Any:
        if branch == "number":
            return float(value)
        if isinstance(branch, str):
            return self.labels.number(value) if branch == "label" else value
        if "*" in branch:
            return [self._pick(item, branch["*"]) for item in value]
        return {step: self._pick(value[step], inner) for step, inner in branch.items()}

    def whole(self, batch: pa.RecordBatch) -> bool:
        """Whether a batch holds what it should in every row, so that no row need be looked at."""
        return all(self._whole(batch.column(head), branch) for head, branch in self.tree.items())

    def _whole(self, array: pa.Array, branch: Tree | str) -> bool:
        import pyarrow as pa
        import pyarrow.compute as pc

        if array.null_count:
            return False
        types = pa.types
        if branch == "text":
            return bool(types.is_string(array.type) or types.is_large_string(array.type))
        if branch == "bytes":
            return bool(types.is_binary(array.type) or types.is_large_binary(array.type))
        if branch == "number":
            return bool(types.is_floating(array.type))
        if isinstance(branch, str):
            if not types.is_integer(array.type):
                return False
            span = pc.min_max(array).as_py()
            return not len(array) or 0 <= span["min"] <= span["max"] < len(self.labels.names)
        if "*" in branch:
            return bool(
                types.is_list(array.type) or types.is_large_list(array.type)
            ) and self._whole(array.flatten(), branch["*"])
        if not types.is_struct(array.type):
            return False
        there = {field.name for field in array.type}
        return all(
            step in there and self._whole(pc.struct_field(array, [step]), inner)
            for step, inner in branch.items()
        )


def kind(path: str) -> str:
    """What stands at the end of a path."""
    if path.partition(".")[0] in ("label", "labels"):
        return "label"
    return "bytes" if path.endswith(".bytes") else "text"


def leaf_pattern(path: str) -> re.Pattern[str]:
    """What matches a path's column in a Parquet schema, where a list is one more level or two."""
    steps = [r"[^.]+(?:\.[^.]+)?" if step == "*" else re.escape(step) for step in path.split(".")]
    return re.compile(r"\.".join(steps))


def _type(branch: Tree | str) -> pa.DataType:
    import pyarrow as pa

    if isinstance(branch, str):
        kinds = {"text": pa.string(), "label": pa.int64(), "bytes": pa.binary()}
        return kinds.get(branch, pa.float64())
    if "*" in branch:
        return pa.list_(_type(branch["*"]))
    return pa.struct([(step, _type(inner)) for step, inner in branch.items()])


def _check(row: Mapping[str, Any], path: str) -> None:
    """Check that a column of a row is what its kind says.

    Raises:
        ValueError: it is null, or something else, or is so within.
    """
    what = kind(path)
    found = _other(row, path.split("."), what)
    if found:
        raise ValueError(f"the column '{path}' holds no {what} but {found}")


def _other(value: Any, steps: Sequence[str], what: str) -> str:
    """What stands in the place of a text, a label or bytes; empty where such a thing stands."""
    other = "null" if value is None else type(value).__name__
    if not steps:
        fits = {"text": str, "bytes": bytes, "label": bool | int | float | str}[what]
        return "" if isinstance(value, fits) else other
    if steps[0] != "*":
        return _other(value.get(steps[0]), steps[1:], what) if isinstance(value, Mapping) else other
    if not isinstance(value, list):
        return other
    return next(filter(None, (_other(item, steps[1:], what) for item in value)), "")
