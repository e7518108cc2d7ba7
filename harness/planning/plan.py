"""From a sweep to cells, checked against the world before the first of them starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from harness.core.cell import LM_EVAL, Cell
from harness.core.errors import BadInput
from harness.core.methods import TFIDF, ZERO_SHOT
from harness.execution.machine import choose_device, choose_dtype
from harness.lm_eval import PREFIX, check
from harness.models.backbones import Backbone, check_writes
from harness.planning.arms import arms, check_method
from harness.planning.curricula import curriculum_of
from harness.planning.data_pins import DataPins
from harness.planning.preflight import check_models
from harness.planning.prepare import SIZES, prepared
from harness.planning.rates import Rates
from harness.planning.sweep import Sweep
from tasks import Task


@dataclass(frozen=True)
class Plan:
    """A sweep and its cells, ready to run."""

    sweep: Sweep
    cells: list[Cell]
    tasks_dir: Path | None
    backbone: Backbone
    warnings: tuple[str, ...] = ()
    """What the user should know of the data before the sweep runs, a line each."""

    @property
    def tasks(self) -> list[str]:
        """The sweep's own tasks, those of lm-eval left out."""
        return [name for name in self.sweep.tasks if not name.startswith(PREFIX)]


def make_plan(sweep: Sweep, source: Path, tasks_dir: Path | None = None) -> Plan:
    """Resolve every name in the sweep and expand it.

    `source` is the sweep file: messages name it, and studies of learning rates lie beside it.

    Raises:
        BadInput: an unknown task, backbone or method, data that is missing or damaged, a length
            that the task has no examples for, an arm without a tuned learning rate.
    """
    named = [name for name in sweep.tasks if not name.startswith(PREFIX)]
    wrong = _wrong_methods(sweep, source)
    try:
        backbone, tasks, warnings = prepared(named, sweep, source, tasks_dir)
    except BadInput as error:
        raise BadInput(*error.args, *wrong) from None
    if wrong:
        raise BadInput(*wrong)
    evaluated = _evaluations(sweep, backbone, source)
    device = choose_device(sweep.device)
    common: dict[str, Any] = {
        "backbone": sweep.backbone,
        "device": device,
        "dtype": choose_dtype(sweep.dtype, device),
        "dropout": sweep.train.dropout,
    }
    cells: list[Cell] = []
    rates = Rates(sweep, source)
    for name, (task, pinned) in tasks.items():
        kind = task.metadata.task_type
        revisions = {"task": pinned, "backbone": backbone.pin}
        place = {**common, "task": name, "uses_lm_head": kind.uses_lm_head, "revisions": revisions}
        own_cells = [
            rates.given_to(cell)
            for cell in _train_cells(sweep, task, place, evaluated if kind.uses_lm_head else {})
        ]
        for length, seed in product(sweep.lengths, sweep.seeds):
            settings = _settings(sweep, task, length)
            own = {**place, **settings, "kind": "train", "length": length, "seed": seed}
            if kind.has_baseline:
                own_cells.append(Cell(**own, method=TFIDF))
            if kind.uses_lm_head and seed == sweep.seeds[0] and settings["test_examples"]:
                own_cells.append(Cell(**own, method=ZERO_SHOT))
        pins = DataPins(task)
        cells += [pins.added_to(cell) for cell in own_cells]
    rates.check()
    place = {**common, "task": None, "revisions": {"backbone": backbone.pin}}
    writing = bool(cells) and all(cell.uses_lm_head for cell in cells)
    cells += _probe_cells(
        sweep, {**place, "uses_lm_head": writing or bool(evaluated and not cells)}
    )
    if evaluated:
        cells += _evaluation_cells(sweep, _joined({**place, "uses_lm_head": True}, evaluated))
    check_models(cells, backbone, source)
    unique = {cell.id: cell for cell in cells}
    # Probes last and next to each other, so that they are measured under the same load; the
    # longest first within each kind, so that no long cell is left alone at the end.
    ordered = sorted(unique.values(), key=lambda c: (c.kind == "probe", -c.estimated_cost))
    return Plan(sweep, ordered, tasks_dir, backbone, tuple(warnings))


def _wrong_methods(sweep: Sweep, source: Path) -> list[str]:
    """What is wrong with the entries of `methods`, a line each."""
    lines: dict[str, None] = {}
    for entry in sweep.methods:
        try:
            check_method(entry, f"{source}: methods.{entry.type}")
        except BadInput as error:
            lines.update(dict.fromkeys(error.args))
    return [*lines]


def _settings(sweep: Sweep, task: Task, length: int) -> dict[str, Any]:
    """How cells of a task are trained at a length; `all` is replaced by the number of examples."""
    curriculum = curriculum_of(sweep, task)
    settings = {**sweep.train.model_dump(exclude={"lr"}), "curriculum": curriculum}
    if "all" in settings.values():
        splits = task.splits_under(length, sweep.seeds[0], curriculum)
        for key, part in zip(SIZES, splits, strict=True):
            settings[key] = len(part) if settings[key] == "all" else settings[key]
    return settings


def _train_cells(
    sweep: Sweep, task: Task, common: dict[str, Any], evaluated: dict[str, Any]
) -> Iterator[Cell]:
    for length in sweep.lengths:
        place = {**_joined(common, evaluated), **_settings(sweep, task, length), "kind": "train"}
        for seed, method in product(sweep.seeds, sweep.methods):
            rates: list[float | None] = [*method.lr] or [None]
            for arm, lr in product(arms(method), rates):
                yield Cell(**place, **arm, length=length, seed=seed, lr=lr)


def _probe_cells(sweep: Sweep, common: dict[str, Any]) -> Iterator[Cell]:
    if sweep.probe is None:
        return
    place = {**common, "kind": "probe", "seed": sweep.seeds[0], "lr": 1e-4}
    for length in sweep.probe.lengths:
        for method in sweep.methods:
            for arm in arms(method):
                yield Cell(
                    **place,
                    **arm,
                    length=length,
                    batch_size=sweep.probe.batch_size,
                    steps=sweep.probe.steps,
                )


def _evaluation_cells(sweep: Sweep, place: dict[str, Any]) -> Iterator[Cell]:
    """What lm-eval says of the backbone, untrained, at every length: once each."""
    batch = sweep.train.batch_size
    for length in sweep.lengths:
        yield Cell(
            **{**place, "task": LM_EVAL}, kind="train", method=ZERO_SHOT, length=length,
            seed=sweep.seeds[0], batch_size=batch,
        )  # fmt: skip


def _evaluations(sweep: Sweep, backbone: Backbone, source: Path) -> dict[str, Any]:
    """Fields of the cells that run tasks of lm-eval, and what pins these tasks."""
    names = [n.removeprefix(PREFIX) for n in sweep.tasks if n.startswith(PREFIX)]
    if not names:
        return {}

    check_writes(backbone, f"{source}: backbone")
    if len(names) * sweep.lm_eval.seconds >= sweep.limits.cell_seconds:
        raise BadInput(
            f"{source}: limits.cell_seconds: {sweep.limits.cell_seconds:g} s are no more than the "
            f"{len(names)} x {sweep.lm_eval.seconds:g} s that tasks of lm-eval may take in a cell, "
            f"which would end it without a result: raise it, or lower lm_eval.seconds"
        )
    pins = check(names, sweep.lengths, backbone, f"{source}: tasks")
    return {
        "evaluations": tuple(names),
        "evaluation_examples": sweep.lm_eval.examples,
        "evaluation_seconds": sweep.lm_eval.seconds,
        "revisions": {PREFIX + name: pin for name, pin in pins.items()},
    }


def _joined(place: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {**place, **more, "revisions": {**place["revisions"], **more.get("revisions", {})}}
