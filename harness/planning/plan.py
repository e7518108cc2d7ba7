"""Turns a sweep into cells, after checking every name, file and setting in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.cell import LM_EVAL, Cell
from harness.core.comparisons import Comparisons
from harness.core.errors import BadInput, nearest
from harness.core.methods import HEAD, LORA, TFIDF, ZERO_SHOT
from harness.costs.dividing import Dividing
from harness.costs.matching import Matching
from harness.lm_eval import PREFIX, check
from harness.models.backbones import Backbone, require_causal_lm
from harness.planning.arms import arms, check_method, reference_arm
from harness.planning.controls import check_head, methods_of
from harness.planning.curricula import curriculum_of
from harness.planning.data_pins import DataPins
from harness.planning.further import forgetting_of, other_lengths
from harness.planning.keys.method import Method
from harness.planning.levers import check_levers, lever_settings
from harness.planning.preflight import check_models
from harness.planning.prepare import SIZES, Preparation, Prepared
from harness.planning.rates import Rates
from harness.planning.sweep import Sweep
from harness.planning.windows import window_of
from harness.system.machine import choose_device, choose_dtype
from harness.training.peft_methods import refused_decoding
from tasks import OwnTasks, Task

_Fields = dict[str, Any]
"""Some fields of a cell."""


@dataclass(frozen=True)
class Plan:
    """A sweep and its cells, ready to run.

    Attributes:
        warnings: for the user, one line each.
    """

    sweep: Sweep
    cells: list[Cell]
    own_tasks: OwnTasks
    backbone: Backbone
    warnings: tuple[str, ...] = ()

    @property
    def tasks(self) -> list[str]:
        """The sweep's tasks without those of lm-eval."""
        return [name for name in self.sweep.task_names if not name.startswith(PREFIX)]


def make_plan(sweep: Sweep, source: Path, tasks_dir: Path | None = None) -> Plan:
    """Resolve every name in the sweep and expand it into cells.

    `source` is the sweep file: messages name it, and studies of learning rates lie beside it.

    Raises:
        BadInput: an unknown task, backbone or method, data that is missing or damaged, a length
            that the task has no examples for, an arm without a tuned learning rate.
    """
    own_tasks = OwnTasks(tasks_dir, sweep.data_entries)
    names = [name for name in sweep.task_names if not name.startswith(PREFIX)]
    wrong = _wrong_methods(sweep, source)
    try:
        prepared = Preparation(sweep, source, own_tasks).run(names)
    except BadInput as error:
        raise BadInput(*error.args, *wrong) from None
    if wrong:
        raise BadInput(*wrong)
    expansion = _Expansion(sweep, source, prepared)
    cells = expansion.cells()
    _check_reference(sweep, source, cells)
    check_levers(sweep, cells, prepared.backbone, f"{source}: levers")
    check_models(cells, prepared.backbone, source)
    unique = {cell.id: cell for cell in cells}
    # Probes run last and together, under the same load. The controls and the reference arm of the
    # first seed run first, so that a run that goes on already compares them. Otherwise the most
    # expensive cells run first, so that none of them runs alone at the end.
    first = partial(_compared_first, seed=sweep.seeds[0])
    ordered = sorted(
        unique.values(), key=lambda c: (c.kind == "probe", not first(c), -c.estimated_cost)
    )
    return Plan(
        sweep, ordered, own_tasks, prepared.backbone, (*prepared.warnings, *expansion.warnings)
    )


def _compared_first(cell: Cell, seed: int) -> bool:
    """Whether a cell is of a control or of LoRA, with the first seed."""
    return (
        cell.seed == seed and cell.method in (ZERO_SHOT, HEAD, LORA) and cell.density in (None, 1)
    )


def _wrong_methods(sweep: Sweep, source: Path) -> list[str]:
    """Return what is wrong with the entries of `methods`, one line each."""
    lines: dict[str, None] = {}
    for entry in sweep.methods:
        try:
            check_method(entry, f"{source}: methods.{entry.type}")
        except BadInput as error:
            lines.update(dict.fromkeys(error.args))
    return [*lines]


def _check_reference(sweep: Sweep, source: Path, cells: list[Cell]) -> None:
    """Refuse a reference that is no method and no arm of the sweep; the default may be missing."""
    name = sweep.comparisons.reference
    known = {c.method for c in cells} | {c.arm for c in cells}
    if name not in known and name != Comparisons().reference:
        raise BadInput(
            f"{source}: comparisons.reference: no method or arm '{name}' in this sweep."
            f"{nearest(name, known)}"
        )


class _Lever(NamedTuple):
    """The fields of a cell for a setting of the levers, and whether the plan divides its model."""

    fields: _Fields
    divided: bool


class _Expansion:
    """The cells of a sweep whose backbone and tasks are prepared."""

    def __init__(self, sweep: Sweep, source: Path, prepared: Prepared) -> None:
        device = choose_device(sweep.device)
        self._sweep = sweep
        self._source = source
        self._prepared = prepared
        self._rates = Rates(sweep, source, prepared.backbone.name)
        self._matching = Matching(reference_arm(sweep), prepared.backbone, str(source))
        self._dividing = Dividing(prepared.backbone, max(sweep.lengths, default=0))
        self._common: _Fields = {
            "backbone": prepared.backbone.name,
            "device": device,
            "dtype": choose_dtype(sweep.dtype, device),
            "dropout": sweep.train.dropout,
            "revisions": {"backbone": prepared.backbone.pin},
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about the arms, one line each."""
        return tuple(f"{self._source}: {line}" for line in self._matching.warnings)

    def cells(self) -> list[Cell]:
        """Return all cells; two may be the same."""
        evaluated = self._lm_eval_fields()
        cells: list[Cell] = []
        for name, task in self._prepared.tasks.items():
            pins = DataPins(task)
            cells += [pins.added_to(cell) for cell in self._task_cells(name, task, evaluated)]
        self._rates.check()
        all_write = bool(cells) and all(cell.uses_lm_head for cell in cells)
        decodes = self._decodes(bool(cells) and not all_write)
        uses_lm_head = all_write or bool((evaluated or decodes) and not cells)
        check_head(self._sweep, not uses_lm_head, str(self._source))
        cells += self._probe_cells(uses_lm_head)
        if evaluated:
            cells += self._zero_shot_evaluations(evaluated)
        return cells

    def _arms(self, method: Method, uses_lm_head: bool) -> Iterator[_Fields]:
        """Yield the settings of the arms of an entry."""
        for arm in arms(method):
            if self._sweep.match == "parameters":
                yield self._matching.matched(arm, method.alpha is not None, uses_lm_head)
            else:
                yield arm

    def _task_cells(self, name: str, task: Task, evaluated: _Fields) -> Iterator[Cell]:
        """Training cells and baselines of a task."""
        sweep, kind = self._sweep, task.metadata.task_type
        place = {**self._common, "kind": "train", "task": name, "uses_lm_head": kind.uses_lm_head}
        place = _with(place, {"revisions": {"task": self._prepared.versions[name]}})
        untrained = _with(place, forgetting_of(sweep, task, self._prepared.versions))
        adapted = _with(untrained, evaluated if kind.uses_lm_head else {})
        settings = {length: self._settings(task, length) for length in sweep.lengths}
        methods = methods_of(sweep, not kind.uses_lm_head)
        if kind.decodes:
            self._check_decoding(methods, f"task {name}")
        levers = self._levers(kind.uses_lm_head)
        for length, seed, method in product(sweep.lengths, sweep.seeds, methods):
            rates: list[float | None] = [*method.lr] or [None]
            for arm, lever, lr in product(self._arms(method, kind.uses_lm_head), levers, rates):
                own = {**adapted, **settings[length], **other_lengths(sweep, length), **arm}
                own |= lever.fields
                cell = self._rates.given_to(Cell(**own, length=length, seed=seed, lr=lr))
                yield self._dividing.divided(cell) if lever.divided else cell
        for length, seed in product(sweep.lengths, sweep.seeds):
            own = {**place, **settings[length], "length": length, "seed": seed}
            if kind.has_baseline:
                yield Cell(**own, method=TFIDF)
            if kind.uses_lm_head and seed == sweep.seeds[0] and own["test_examples"]:
                yield Cell(**{**own, **untrained}, method=ZERO_SHOT)

    def _settings(self, task: Task, length: int) -> _Fields:
        """Return the training settings at a length, with numbers in place of `all`."""
        curriculum = curriculum_of(self._sweep, task)
        others = {"test_lengths", "forgetting", "context", "loss"}
        settings = self._sweep.train.model_dump(exclude={"lr", "head_lr", *others})
        settings["curriculum"] = curriculum
        if window := window_of(self._sweep, task):
            settings |= {"window": window.end, "target_tokens": window.targets}
        if task.metadata.task_type.uses_lm_head:
            settings["lm_loss"] = self._sweep.train.loss
        if "all" in settings.values():
            splits = task.splits_under(length, self._sweep.seeds[0], curriculum)
            for key, part in zip(SIZES, splits, strict=True):
                settings[key] = len(part) if settings[key] == "all" else settings[key]
        return settings

    def _levers(self, uses_lm_head: bool) -> list[_Lever]:
        """Return the fields of a cell for each setting of the levers."""
        found = []
        for levers, loss, divided in lever_settings(self._sweep):
            used = (loss or self._sweep.train.loss) if uses_lm_head else None
            found.append(_Lever({"levers": levers, "lm_loss": used}, divided))
        return found

    def _decodes(self, has_classifier: bool) -> bool:
        """Return whether probes decode.

        Raises:
            BadInput: they cannot, because the model is not a language model.
        """
        if self._sweep.probe is None or not self._sweep.probe.decode:
            return False
        where = f"{self._source}: probe.decode"
        if has_classifier:
            raise BadInput(
                f"{where}: a task of this sweep has a classifier, so its probes have one too, and "
                f"a classifier does not decode: remove probe.decode, or use a sweep without tasks"
            )
        require_causal_lm(self._prepared.backbone, where)
        self._check_decoding(self._sweep.methods, "probe.decode")
        return True

    def _check_decoding(self, methods: Sequence[Method], use: str) -> None:
        for method in methods:
            if reason := refused_decoding(method.type):
                raise BadInput(f"{self._source}: methods.{method.type}: {reason}; {use} needs it")

    def _probe_cells(self, uses_lm_head: bool) -> Iterator[Cell]:
        probe = self._sweep.probe
        if probe is None:
            return
        place: _Fields = {
            **self._common, "kind": "probe", "task": None, "uses_lm_head": uses_lm_head,
            "seed": self._sweep.seeds[0], "batch_size": probe.batch_size, "steps": probe.steps,
            "probe_seconds": probe.seconds, "decode": probe.decode,
        }  # fmt: skip
        methods = methods_of(self._sweep, not uses_lm_head)
        levers = self._levers(uses_lm_head)
        for length, method in product(probe.lengths, methods):
            for arm, lever in product(self._arms(method, uses_lm_head), levers):
                if not lever.fields["levers"].packing:  # the texts of a probe fill their rows
                    yield Cell(**place, **arm, **lever.fields, length=length, lr=1e-4)
        for length in probe.lengths if probe.decode else []:
            yield Cell(**place, method=ZERO_SHOT, length=length)

    def _zero_shot_evaluations(self, evaluated: _Fields) -> Iterator[Cell]:
        """Tasks of lm-eval on the untrained backbone, once per length."""
        for length in self._sweep.lengths:
            yield Cell(
                **_with(self._common, evaluated), kind="train", task=LM_EVAL, method=ZERO_SHOT,
                uses_lm_head=True, length=length, seed=self._sweep.seeds[0],
                batch_size=self._sweep.train.batch_size,
            )  # fmt: skip

    def _lm_eval_fields(self) -> _Fields:
        """Return the fields of cells that run tasks of lm-eval; empty if there are none.

        Raises:
            BadInput: a task of lm-eval cannot run, or the time limit of a cell is too short.
        """
        sweep, backbone = self._sweep, self._prepared.backbone
        names = [n.removeprefix(PREFIX) for n in sweep.task_names if n.startswith(PREFIX)]
        if not names:
            return {}
        require_causal_lm(backbone, f"{self._source}: backbone")
        if len(names) * sweep.lm_eval.seconds >= sweep.limits.cell_seconds:
            raise BadInput(
                f"{self._source}: limits.cell_seconds: {sweep.limits.cell_seconds:g} s is too "
                f"short for {len(names)} tasks of lm-eval with {sweep.lm_eval.seconds:g} s each: "
                f"raise it, or lower lm_eval.seconds"
            )
        versions = check(names, sweep.lengths, backbone, f"{self._source}: tasks")
        return {
            "evaluations": tuple(names),
            "evaluation_examples": sweep.lm_eval.examples,
            "evaluation_seconds": sweep.lm_eval.seconds,
            "revisions": {PREFIX + name: version for name, version in versions.items()},
        }


def _with(fields: _Fields, more: _Fields) -> _Fields:
    """Return both, with the revisions of both."""
    revisions = {**fields["revisions"], **more.get("revisions", {})}
    return {**fields, **more, "revisions": revisions}
