"""A sweep's backbone and tasks, before its first cell starts: are their files there, and enough?"""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import BadInput, one_line
from harness.lm_eval import suggested_name
from harness.models.backbones import Backbone, find_backbone
from harness.models.tokens import word_counter
from harness.planning.curricula import check_curriculum, curriculum_of
from harness.planning.missing import missing_lines
from harness.planning.reach import check_reach
from harness.planning.sweep import Sweep
from tasks import Task, TaskError, load_task
from tasks.base import MissingData, TokenCounter
from tasks.contract import check_examples
from tasks.findings import quick_findings
from tasks.registry import discover

SIZES = ("examples", "validation_examples", "test_examples")
"""Settings of a sweep that say how much of train, validation and test is used."""


def prepared(
    names: list[str], sweep: Sweep, source: Path, tasks_dir: Path | None
) -> tuple[Backbone, dict[str, tuple[Task, str]], list[str]]:
    """Return the backbone, each task with what pins its data, which are there, and warnings.

    Raises:
        BadInput: what is wrong with the backbone and with any of the tasks, a line each.
    """
    tasks: dict[str, tuple[Task, str]] = {}
    wrong: list[str] = []
    missing: list[MissingData] = []
    warnings: list[str] = []
    backbone, count = None, None
    try:
        backbone = find_backbone(sweep.backbone, f"{source}: backbone")
        count = _counter(backbone, source) if names else None
    except BadInput as error:
        wrong += error.args
    for name in names:
        try:
            tasks[name] = _prepared(name, sweep, source, tasks_dir, count)
            if backbone and count:  # its tokenizer works
                warnings += _warnings(tasks[name][0], sweep, source, backbone)
        except MissingData as error:
            missing.append(error)
        except BadInput as error:
            wrong += [line for line in error.args if line not in wrong]
    wrong += missing_lines(missing, source)
    try:
        known = [task for task, _ in tasks.values()]
        warnings += check_curriculum(sweep, known, source, tasks_dir, whole=not wrong)
    except BadInput as error:
        wrong += error.args
    if wrong or not backbone:
        raise BadInput(*wrong)
    return backbone, tasks, warnings


def _counter(backbone: Backbone, source: Path) -> TokenCounter:
    count = word_counter(backbone)
    try:
        count(["a"])
    except Exception as error:  # whatever the tokenizers package raises
        raise BadInput(
            f"{source}: backbone: {backbone.folder}: tokenizer: {one_line(error)}"
        ) from None
    return count


def _prepared(
    name: str, sweep: Sweep, source: Path, tasks_dir: Path | None, count: TokenCounter | None
) -> tuple[Task, str]:
    """The task of that name, with its data there and enough of it, and what pins the data."""
    try:
        task = load_task(name, tasks_dir, count)
        _check_lengths(task, sweep.lengths, source)
        task.prepare()
        _check_sizes(task, sweep, source)
        check_examples(task, min(sweep.lengths), sweep.seeds[0], curriculum_of(sweep, task))
        pinned = task.data_version()
    except (BadInput, MissingData):
        raise
    except TaskError as error:
        if name not in discover(tasks_dir) and (meant := suggested_name(name)):
            raise BadInput(
                f"{source}: tasks: there is no task '{name}'. A task of lm-eval is named '{meant}'"
            ) from None
        raise BadInput(f"{source}: tasks: {error}") from None
    except (Exception, SystemExit) as error:  # a plug-in is anybody's code
        raise BadInput(
            f"{source}: tasks: the plug-in '{name}' fails: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from None
    return task, pinned


def _warnings(task: Task, sweep: Sweep, source: Path, backbone: Backbone) -> list[str]:
    """What looks wrong with the data, and lengths that few test texts have.

    Raises:
        BadInput: a length that no test text has.
    """
    tested, seed, name = sweep.train.test_examples, sweep.seeds[0], task.metadata.name
    try:
        found = quick_findings(task.metadata, task.splits(min(sweep.lengths), seed))
        short = check_reach(task, backbone, sweep.lengths, tested, seed, str(source))
    except BadInput:
        raise
    except TaskError as error:
        raise BadInput(f"{source}: tasks: {error}") from None
    except (Exception, SystemExit) as error:  # a plug-in is anybody's code
        raise BadInput(
            f"{source}: tasks: the plug-in '{name}' fails: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from None
    return [*(f"{source}: tasks: {name}: {line}" for line in found), *short]


def _check_lengths(task: Task, lengths: list[int], source: Path) -> None:
    least = task.metadata.min_length
    for length in lengths:
        if length < least:
            raise BadInput(
                f"{source}: lengths: {length} tokens is too short for the task "
                f"'{task.metadata.name}', which starts at {least}"
            )


def _check_sizes(task: Task, sweep: Sweep, source: Path) -> None:
    for length in sweep.lengths:
        splits = task.splits_under(length, sweep.seeds[0], curriculum_of(sweep, task))
        for name, part, key in zip(splits._fields, splits, SIZES, strict=True):
            size = getattr(sweep.train, key)
            if size == "all":
                size = 0 if name == "test" else 1
            if len(part) < size:
                raise BadInput(
                    f"{source}: train.{key}: {size} are asked for, and the task "
                    f"'{task.metadata.name}' has {len(part)} {name} examples at {length} tokens: "
                    f"use {len(part)} or fewer, or `all`"
                )
