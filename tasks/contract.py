"""The contract of examples: what is checked before any of them is used."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core.cell import NO_CURRICULUM
from tasks.base import Example, Splits, Task, TaskError, TaskMetadata

FIRST = 20
"""Examples of each split that are checked before a sweep starts; a cell checks all it reads."""


def fault(metadata: TaskMetadata, example: Example) -> str:
    """Return what is wrong with an example, as in "has a label out of range"; "" if nothing is.

    Types and ranges only: real data has empty texts and labels that are rare.
    """
    if not isinstance(example, Example):
        return f"is of type {type(example).__name__}, not Example"
    texts = (example.text, example.second, *example.choices, *example.answers)
    if strange := [type(text).__name__ for text in texts if not isinstance(text, str)]:
        return f"has a text of type {strange[0]}"
    place = example.position
    if place is not None and not (isinstance(place, int | float) and 0 <= place <= 1):
        return f"has a position that is not a number from 0 to 1: {place!r}"
    return metadata.task_type.fault(metadata, example)


def shape_fault(metadata: TaskMetadata, examples: Sequence[Example]) -> str:
    """Return what is not equal for all examples although it must be; "" if nothing."""
    kind = metadata.task_type
    shapes = {kind.shape(example) for example in examples}
    if len(shapes) > 1 or not all(map(kind.valid_shape, shapes)):
        return f"all examples need {kind.same_for_all}: {sorted(shapes)}"
    return ""


def first_fault(metadata: TaskMetadata, splits: Splits, most: int = FIRST) -> str:
    """Return what is wrong with the first examples of each split; "" if nothing is."""
    if not isinstance(splits, Splits):
        return f"splits() returns a {type(splits).__name__}, not Splits"
    read: list[Example] = []
    for name, part in zip(Splits._fields, splits, strict=True):
        for number, example in enumerate(part[:most], 1):
            if wrong := fault(metadata, example):
                return f"example {number} of {name} {wrong}"
            read.append(example)
    return shape_fault(metadata, read)


def check_examples(task: Task, length: int, seed: int, curriculum: str = NO_CURRICULUM) -> None:
    """Check the first examples of each split.

    Raises:
        TaskError: one of them breaks the contract.
    """
    if wrong := first_fault(task.metadata, task.splits_under(length, seed, curriculum)):
        raise TaskError(f"'{task.metadata.name}' breaks the contract of tasks: {wrong}")
