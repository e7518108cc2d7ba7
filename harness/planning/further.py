"""Evaluations beyond a cell's own test: which ones a sweep asks for, and whether they can run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.core.errors import BadInput
from harness.core.result import LOSS
from harness.planning.sweep import Sweep
from tasks import Task

FORGETTING = "forgetting"
"""The key of the version of the unrelated texts in a cell's `revisions`."""


def tested_lengths(sweep: Sweep) -> list[int]:
    """Return the lengths at which every model is tested; its own length may be among them."""
    asked = sweep.train.test_lengths
    return sorted(sweep.lengths if asked == "all" else asked)


def only_tested(sweep: Sweep) -> list[int]:
    """Return the lengths at which models are tested but not trained."""
    return [length for length in tested_lengths(sweep) if length not in sweep.lengths]


def other_lengths(sweep: Sweep, length: int) -> dict[str, Any]:
    """Return the field of a trained cell with the lengths at which it is tested beside its own."""
    return {"test_lengths": tuple(n for n in tested_lengths(sweep) if n != length)}


def forgetting_of(sweep: Sweep, task: Task, versions: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a cell of `task` that measure forgetting; empty if it does not."""
    asked = sweep.train.forgetting
    if asked is None or not measures_forgetting(sweep, task):
        return {}
    return {
        "forgetting": asked.task,
        "forgetting_examples": asked.examples,
        "revisions": {FORGETTING: versions[asked.task]},
    }


def measures_forgetting(sweep: Sweep, task: Task) -> bool:
    """Whether the cells of a task can: they keep the language-model head, and train on others."""
    asked = sweep.train.forgetting
    metadata = task.metadata
    return asked is not None and metadata.task_type.uses_lm_head and metadata.name != asked.task


def check_forgetting(sweep: Sweep, unrelated: Task, tasks: Iterable[Task], where: str) -> None:
    """Check the task of unrelated texts, whose data is there, against the tasks of the sweep.

    Raises:
        BadInput: it does not model language, no cell can use it, or it has too few texts.
    """
    asked = sweep.train.forgetting
    assert asked is not None
    metadata = unrelated.metadata
    if metadata.metric != LOSS:
        raise BadInput(
            f"{where}: the metric of '{asked.task}' is {metadata.metric}: use a task whose metric "
            f"is {LOSS}, one of language_modelling"
        )
    if not any(measures_forgetting(sweep, task) for task in tasks):
        raise BadInput(
            f"{where}: no task of this sweep can use it: forgetting is measured on models that "
            f"predict tokens (language_modelling, generation), trained on a task other than "
            f"'{asked.task}'. Remove it, or add such a task"
        )
    for length in sweep.lengths:
        if length < metadata.min_length:
            raise BadInput(
                f"{where}: {length} tokens is too short for the task '{asked.task}', which starts "
                f"at {metadata.min_length}"
            )
        if (have := len(unrelated.splits(length, 0).test)) < asked.examples:
            raise BadInput(
                f"{where}: the sweep asks for {asked.examples} texts, but the task '{asked.task}' "
                f"has {have} test examples at {length} tokens: use {have} or fewer"
            )
