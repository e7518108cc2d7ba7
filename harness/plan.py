"""From a sweep to cells, checked against the world before the first of them starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import tuned
from harness.backbones import find_backbone
from harness.cells import BASELINE, Cell
from harness.errors import BadInput, told
from harness.machine import choose_device, choose_dtype
from harness.methods import check_method
from harness.preflight import check_models
from harness.sweep import Method, Sweep
from tasks import Task, TaskError, load_task


@dataclass(frozen=True)
class Plan:
    """A sweep and its cells, ready to run."""

    sweep: Sweep
    cells: list[Cell]
    tasks_dir: Path | None


def make_plan(sweep: Sweep, source: Path, tasks_dir: Path | None = None) -> Plan:
    """Resolve every name in the sweep and expand it.

    `source` is the sweep file: messages name it, and `lr: tuned` reads `tuned.yaml` beside it.

    Raises:
        BadInput: an unknown task, backbone or method, data that is missing or damaged, a length
            that the task has no examples for, an arm without a tuned learning rate.
    """
    tasks = {name: _prepared(name, sweep, source, tasks_dir) for name in sweep.tasks}
    backbone = find_backbone(sweep.backbone, f"{source}: backbone")
    for entry in sweep.methods:
        check_method(entry, f"{source}: methods.{entry.type}")
    device = choose_device(sweep.device)
    common: dict[str, Any] = {
        "backbone": sweep.backbone,
        "device": device,
        "dtype": choose_dtype(sweep.dtype, device),
        "dropout": sweep.train.dropout,
    }
    cells = []
    rates = tuned.read(source.parent / "tuned.yaml") if _needs_tuned(sweep) else None
    for name, task in tasks.items():
        revisions = {"task": task.metadata.revision, "backbone": backbone.revision}
        for cell in _train_cells(sweep, {**common, "task": name, "revisions": revisions}):
            cells.append(
                cell if cell.lr or cell.method == BASELINE else _with_rate(cell, rates, source)
            )
    cells += _probe_cells(
        sweep, {**common, "task": None, "revisions": {"backbone": backbone.revision}}
    )
    check_models(cells, backbone, source)
    unique = {cell.id: cell for cell in cells}
    # Probes last and next to each other, so that they are measured under the same load; the
    # longest first within each kind, so that no long cell is left alone at the end.
    ordered = sorted(unique.values(), key=lambda c: (c.kind == "probe", -c.work))
    return Plan(sweep, ordered, tasks_dir)


def _train_cells(sweep: Sweep, common: dict[str, Any]) -> Iterator[Cell]:
    train = sweep.train
    settings = train.model_dump(exclude={"lr"})
    given = None if train.lr == "tuned" else train.lr
    for length in sweep.lengths:
        for seed in sweep.seeds:
            place = {**common, **settings, "kind": "train", "length": length, "seed": seed}
            for method in sweep.methods:
                for arm in _arms(method):
                    rates: list[float | None] = [*method.lr] or [given]
                    for lr in rates:
                        yield Cell(**place, **arm, lr=lr)
            yield Cell(**place, method=BASELINE)


def _probe_cells(sweep: Sweep, common: dict[str, Any]) -> Iterator[Cell]:
    if sweep.probe is None:
        return
    place = {**common, "kind": "probe", "seed": sweep.seeds[0], "lr": 1e-4}
    for length in sweep.probe.lengths:
        for method in sweep.methods:
            for arm in _arms(method):
                yield Cell(
                    **place,
                    **arm,
                    length=length,
                    batch_size=sweep.probe.batch_size,
                    steps=sweep.probe.steps,
                )


def _arms(method: Method) -> Iterator[dict[str, Any]]:
    if method.type == "full":
        yield {"method": "full"}
        return
    for density in method.density or [1.0]:
        for placement in method.placement or ["alternate"]:
            for rank in method.rank or [8]:
                yield {
                    "method": method.type,
                    "density": density,
                    "placement": placement,
                    "rank": rank,
                    "alpha": method.alpha if method.alpha is not None else 2.0 * rank,
                    "target": method.target or "attention",
                    "options": method.options,
                }


def _prepared(name: str, sweep: Sweep, source: Path, tasks_dir: Path | None) -> Task:
    """The task of that name, with its data there and enough of it."""
    try:
        task = load_task(name, tasks_dir)
        _check_lengths(task, sweep.lengths, source)
        task.prepare()
        _check_sizes(task, sweep, source)
    except BadInput:
        raise
    except TaskError as error:
        raise BadInput(f"{source}: tasks: {error}") from None
    except (Exception, SystemExit) as error:  # a plug-in is anybody's code
        raise BadInput(
            f"{source}: tasks: the plug-in '{name}' fails: {type(error).__name__}: {told(error)}"
        ) from None
    return task


def _check_lengths(task: Task, lengths: list[int], source: Path) -> None:
    least = task.metadata.min_length
    for length in lengths:
        if length < least:
            raise BadInput(
                f"{source}: lengths: {length} tokens is too short for the task "
                f"'{task.metadata.name}', which starts at {least}"
            )


def _check_sizes(task: Task, sweep: Sweep, source: Path) -> None:
    train = sweep.train
    asked = (train.examples, train.validation_examples, train.test_examples)
    for length in sweep.lengths:
        splits = task.splits(length, sweep.seeds[0])
        for name, part, size in zip(splits._fields, splits, asked, strict=True):
            if len(part) < size:
                key = "examples" if name == "train" else f"{name}_examples"
                raise BadInput(
                    f"{source}: train.{key}: {size} are asked for, and the task "
                    f"'{task.metadata.name}' has {len(part)} {name} examples at {length} tokens"
                )


def _needs_tuned(sweep: Sweep) -> bool:
    return bool(sweep.tasks) and sweep.train.lr == "tuned" and not all(m.lr for m in sweep.methods)


def _with_rate(cell: Cell, rates: list[tuned.Entry] | None, source: Path) -> Cell:
    for entry in rates or []:
        if entry.arm == cell.arm_key:
            return cell.model_copy(update={"lr": entry.lr})
    studied = sorted({f"{e.arm.get('method')} on {e.arm.get('task')}" for e in rates or []})
    raise BadInput(
        f"{source}: train.lr: tuned.yaml has no learning rate for {cell.arm} of {cell.backbone} on "
        f"{cell.task}; it has {', '.join(studied) or 'none at all'}. Give train.lr as a number, "
        f"give the method its own lr, or run a study (see sweeps/tune.yaml)"
    )
