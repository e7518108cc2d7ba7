"""Checks the backbone and the tasks of a sweep before its first cell starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import BadInput, one_line
from harness.costs.configurations import find_configuration
from harness.lm_eval import suggested_name
from harness.models.backbones import Backbone, find_backbone
from harness.models.tokens import word_counter
from harness.planning.curricula import check_curriculum, curriculum_of
from harness.planning.further import check_forgetting, only_tested
from harness.planning.missing import missing_lines
from harness.planning.reach import check_reach
from harness.planning.sweep import Sweep
from harness.planning.windows import check_context, check_windows, window_of
from tasks import OwnTasks, Task, TaskError, load_task
from tasks.base import MissingData, TokenCounter
from tasks.contract import check_examples
from tasks.findings import quick_findings
from tasks.registry import discover

SIZES = ("examples", "validation_examples", "test_examples")
"""Settings that say how many examples of train, validation and test are used."""


@dataclass(frozen=True)
class Prepared:
    """The backbone and the tasks of a sweep, with their data on this machine.

    Attributes:
        versions: the version of each task's data.
        warnings: for the user, one line each.
    """

    backbone: Backbone
    tasks: dict[str, Task]
    versions: dict[str, str]
    warnings: list[str]


@dataclass(frozen=True)
class Preparation:
    """Checks the names, the data and the sizes of a sweep. Messages name its file, `source`."""

    sweep: Sweep
    source: Path
    own_tasks: OwnTasks

    def run(self, names: list[str]) -> Prepared:
        """Prepare the backbone and the tasks called `names`.

        Raises:
            BadInput: all that is wrong with the backbone and the tasks, one line each.
        """
        tasks: dict[str, Task] = {}
        versions: dict[str, str] = {}
        wrong: list[str] = []
        missing: list[MissingData] = []
        warnings: list[str] = []
        backbone, count = None, None
        try:
            backbone = self._backbone()
            count = self._token_counter(backbone) if names else None
        except BadInput as error:
            wrong += error.args
        for name in names:
            try:
                with self._task_errors(name):
                    tasks[name], versions[name] = self._load(name, count)
                    if backbone and count:  # its tokenizer works
                        warnings += self._warnings(tasks[name], backbone)
            except MissingData as error:
                missing.append(error)
            except BadInput as error:
                wrong += [line for line in error.args if line not in wrong]
        if asked := self.sweep.train.forgetting:
            key = "train.forgetting"
            try:
                with self._task_errors(asked.task, key):
                    task = load_task(asked.task, self.own_tasks, count)
                    task.prepare()
                    check_forgetting(self.sweep, task, tasks.values(), f"{self.source}: {key}")
                    versions[asked.task] = task.data_version()
            except MissingData as error:
                missing.append(error)
            except BadInput as error:
                wrong += error.args
        wrong += missing_lines(missing, self.source)
        try:
            loaded = [*tasks.values()]
            warnings += check_curriculum(
                self.sweep, loaded, self.source, self.own_tasks.folder, whole=not wrong
            )
        except BadInput as error:
            wrong += error.args
        if not wrong:
            check_context(self.sweep, loaded, str(self.source))
        if wrong or not backbone:
            raise BadInput(*wrong)
        return Prepared(backbone, tasks, versions, warnings)

    def _backbone(self) -> Backbone:
        where, asked = f"{self.source}: backbone", self.sweep.backbone
        if isinstance(asked, str):
            return find_backbone(asked, where)
        return find_configuration(asked.config, f"{where}.config", self.source.parent)

    @contextmanager
    def _task_errors(self, name: str, key: str = "tasks") -> Iterator[None]:
        """Turn any error of a task, which may be a plug-in, into one line."""
        where = f"{self.source}: {key}:"
        try:
            yield
        except (BadInput, MissingData):
            raise
        except TaskError as error:
            if name not in discover(self.own_tasks.folder) and (other := suggested_name(name)):
                raise BadInput(
                    f"{where} there is no task '{name}'. A task of lm-eval is named '{other}'"
                ) from None
            raise BadInput(*(f"{where} {line}" for line in error.args)) from None
        except (Exception, SystemExit) as error:
            raise BadInput(
                f"{where} the plug-in '{name}' fails: {type(error).__name__}: {one_line(error)}"
            ) from None

    def _token_counter(self, backbone: Backbone) -> TokenCounter:
        count = word_counter(backbone)
        try:
            count(["a"])
        except Exception as error:  # tokenizers raises many kinds
            raise BadInput(
                f"{self.source}: backbone: {backbone.folder}: tokenizer: {one_line(error)}"
            ) from None
        return count

    def _load(self, name: str, count: TokenCounter | None) -> tuple[Task, str]:
        """Return the task and the version of its data, after checking them."""
        task = load_task(name, self.own_tasks, count)
        tested = only_tested(self.sweep)
        for key, lengths in (("lengths", self.sweep.lengths), ("train.test_lengths", tested)):
            for length in lengths:
                if length < task.metadata.min_length:
                    raise BadInput(
                        f"{self.source}: {key}: {length} tokens is too short for the task "
                        f"'{name}', which starts at {task.metadata.min_length}"
                    )
        task.prepare()
        for length in self.sweep.lengths:
            self._check_sizes(task, length)
        for length in tested:
            self._check_sizes(task, length, only_test=True)
        curriculum = curriculum_of(self.sweep, task)
        check_examples(task, min(self.sweep.lengths), self.sweep.seeds[0], curriculum)
        return task, task.data_version()

    def _check_sizes(self, task: Task, length: int, only_test: bool = False) -> None:
        curriculum = curriculum_of(self.sweep, task)
        splits = task.splits_under(length, self.sweep.seeds[0], curriculum)
        wrong = []
        for split, part, key in zip(splits._fields, splits, SIZES, strict=True):
            size = getattr(self.sweep.train, key)
            if only_test and split != "test":
                continue
            if size == "all":
                size = 0 if split == "test" else 1
            if len(part) < size:
                wrong.append(
                    f"{self.source}: train.{key}: the sweep asks for {size}, but the task "
                    f"'{task.metadata.name}' has {len(part)} {split} examples at {length} tokens: "
                    f"use {len(part)} or fewer, or `all`"
                )
        if wrong:
            raise BadInput(*wrong)

    def _warnings(self, task: Task, backbone: Backbone) -> list[str]:
        """Describe suspicious data, and lengths that few test texts reach.

        Raises:
            BadInput: a length or a window that no test text reaches.
        """
        sweep, name = self.sweep, task.metadata.name
        seed, tested = sweep.seeds[0], sweep.train.test_examples
        quick = quick_findings(task.metadata, task.splits(min(sweep.lengths), seed))
        found = [*task.data_warnings(), *quick]
        if window_of(sweep, task):
            short = check_windows(sweep, task, backbone, str(self.source))
        else:
            where = str(self.source)
            lengths, others = sweep.lengths, only_tested(sweep)
            short = check_reach(task, backbone, lengths, tested, seed, f"{where}: lengths")
            where += ": train.test_lengths"
            short += check_reach(task, backbone, others, tested, seed, where)
        return [*(f"{self.source}: tasks: {name}: {line}" for line in found), *short]
