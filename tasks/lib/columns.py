"""The columns and nested fields that a task reads from a file, and their types.

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
    """The fields that a task reads from each row."""

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
        """The names of the columns."""
        return list(self.tree)

    @property
    def label_heads(self) -> list[str]:
        """The names of the columns with labels."""
        return [path.partition(".")[0] for path in self.paths if kind(path) == "label"]

    def schema(self) -> pa.Schema:
        """The Arrow types of what is kept: text, labels (int64), numbers (float64), bytes."""
        import pyarrow as pa

        return pa.schema([(head, _type(branch)) for head, branch in self.tree.items()])

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a row, with labels as numbers.

        Raises:
            ValueError: a value is missing or has another type.
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
        """Whether all values of a batch are valid, so that rows need not be checked one by one."""
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
    """The kind of the values of a path."""
    if path.partition(".")[0] in ("label", "labels"):
        return "label"
    return "bytes" if path.endswith(".bytes") else "text"


def leaf_pattern(path: str) -> re.Pattern[str]:
    """A pattern for a path's column in a Parquet schema, where a list adds one or two levels."""
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
    """Check that the values of a path have the right type.

    Raises:
        ValueError: a value is null or has another type.
    """
    what = kind(path)
    found = _other(row, path.split("."), what)
    if found:
        raise ValueError(f"the column '{path}' has {found}, expected {what}")


def _other(value: Any, steps: Sequence[str], what: str) -> str:
    """The type of the first invalid value at a path; "" if all are valid."""
    other = "null" if value is None else type(value).__name__
    if not steps:
        fits = {"text": str, "bytes": bytes, "label": bool | int | float | str}[what]
        return "" if isinstance(value, fits) else other
    if steps[0] != "*":
        return _other(value.get(steps[0]), steps[1:], what) if isinstance(value, Mapping) else other
    if not isinstance(value, list):
        return other
    return next(filter(None, (_other(item, steps[1:], what) for item in value)), "")
