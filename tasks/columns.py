"""Whether the columns of a row are text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset


def check_text(row: Mapping[str, Any], column: str) -> None:
    """Check that a column of a row is text; `answers.*.text` is `text` in each of a list.

    Raises:
        ValueError: it is null, or something else, or is so within.
    """
    found = _other(row, column.split("."))
    if found:
        raise ValueError(f"the column '{column}' holds no text but {found}")


def with_null(data: Dataset, columns: Sequence[str]) -> list[int]:
    """Of each column that has null somewhere, the first such row; Arrow counts without reading."""
    stored = [data.data.column(column.partition(".")[0]) for column in columns]
    return [column.is_null().index(True).as_py() for column in stored if column.null_count]


def _other(value: Any, steps: Sequence[str]) -> str:
    """What stands in the place of a text; empty where a text stands."""
    kind = "null" if value is None else type(value).__name__
    if not steps:
        return "" if isinstance(value, str) else kind
    if steps[0] != "*":
        return _other(value.get(steps[0]), steps[1:]) if isinstance(value, Mapping) else kind
    if not isinstance(value, list):
        return kind
    return next(filter(None, (_other(item, steps[1:]) for item in value)), "")
