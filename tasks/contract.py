"""What every example must be, so that none is scored that means nothing."""

from __future__ import annotations

from harness.core.cell import NO_CURRICULUM
from tasks.base import WRITING, Example, Splits, Task, TaskError, TaskMetadata

FIRST = 20
"""Examples of each split that are looked at before a sweep starts; a cell looks at all it reads."""


def fault(metadata: TaskMetadata, example: Example) -> str:
    """Return what is wrong with an example, as in "has a label out of range"; "" if nothing is.

    Types and ranges only: real data has empty texts and labels that are rare.
    """
    if not isinstance(example, Example):
        return f"is of type {type(example).__name__}, not Example"
    texts = (example.text, example.second, *example.choices, *example.answers)
    if strange := [type(text).__name__ for text in texts if not isinstance(text, str)]:
        return f"has a text of type {strange[0]}"
    if metadata.family in WRITING:
        return ""
    size = len(example.choices) if metadata.family == "choice" else len(metadata.labels)
    given = example.labels if metadata.family == "multilabel" else (example.label,)
    if wrong := [label for label in given if label not in range(size)]:
        return f"has a label out of range: {wrong[0]!r}, not one of 0 to {size - 1}"
    return ""


def first_fault(metadata: TaskMetadata, splits: Splits, most: int = FIRST) -> str:
    """Return what is wrong with the first examples of each split; "" if nothing is."""
    if not isinstance(splits, Splits):
        return f"splits() returns a {type(splits).__name__}, not Splits"
    choices: set[int] = set()
    for name, part in zip(Splits._fields, splits, strict=True):
        for number, example in enumerate(part[:most], 1):
            if wrong := fault(metadata, example):
                return f"example {number} of {name} {wrong}"
            choices.add(len(example.choices))
    if metadata.family == "choice" and (len(choices) > 1 or min(choices, default=2) < 2):
        return f"all examples need the same number of choices, two or more: {sorted(choices)}"
    return ""


def check_examples(task: Task, length: int, seed: int, curriculum: str = NO_CURRICULUM) -> None:
    """Look at the first examples of each split.

    Raises:
        TaskError: one of them breaks the contract.
    """
    if wrong := first_fault(task.metadata, task.splits_under(length, seed, curriculum)):
        raise TaskError(f"'{task.metadata.name}' breaks the contract of tasks: {wrong}")
