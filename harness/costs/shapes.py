"""The costs of the distinct shapes of a sweep: one dry run for each, in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import as_completed
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from harness.core.cell import Cell
from harness.core.errors import one_line
from harness.core.methods import FULL, TFIDF, ZERO_SHOT
from harness.costs import cache
from harness.costs.pool import workers
from harness.models.backbones import Backbone

if TYPE_CHECKING:
    from harness.costs.dry_run import Step

_UNUSED = (
    "task", "lr_source", "head_lr", "examples", "validation_examples", "test_examples", "epochs",
    "validations", "curriculum", "steps", "evaluations", "evaluation_examples",
    "evaluation_seconds", "probe_seconds", "test_lengths", "forgetting", "forgetting_examples",
    "window", "target_tokens", "decode",
)  # fmt: skip
"""Settings that do not change a step on a full-length batch."""


class Work(BaseModel):
    """What the operators of a step do (`harness.training.work.Work`)."""

    model_config = ConfigDict(frozen=True)

    matmul_flops: int
    attention_flops: int
    moved_bytes: int
    operators: int

    @property
    def flops(self) -> int:
        """All floating-point operations."""
        return self.matmul_flops + self.attention_flops


class StepCost(BaseModel):
    """Peak of live bytes of a step, its parts at the peak, and its work."""

    model_config = ConfigDict(frozen=True)

    peak_bytes: int
    parts: dict[str, int]
    work: Work


class ShapeCost(BaseModel):
    """The costs of a shape. Without `train` and `eval`, `reason` says why."""

    model_config = ConfigDict(frozen=True)

    train: StepCost | None = None
    eval: StepCost | None = None
    trainable_params: int | None = None
    head_params: int | None = None
    total_params: int | None = None
    reason: str | None = None


def shape_of(cell: Cell) -> Cell:
    """Return the probe whose steps cost as much as those of a cell; its id names the shape."""
    fields = type(cell).model_fields
    update = {name: fields[name].default for name in _UNUSED if name in fields}
    update |= {"kind": "probe", "task": None, "lr": 1e-4, "device": "cpu", "revisions": {}}
    if cell.method == ZERO_SHOT:
        update["method"] = FULL  # its forward pass is the same
    if cell.placement != "random":
        update["seed"] = 0
    return cell.model_copy(update=update)


def shape_costs(
    cells: Iterable[Cell],
    backbone: Backbone,
    processes: int,
    listen: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, ShapeCost]:
    """Return the costs of the shapes of cells, by the id of the shape.

    Args:
        cells: baselines without a model are left out.
        backbone: its configuration is read.
        processes: dry runs at a time.
        listen: called with the number of finished dry runs and of all.
    """
    shapes = {s.id: s for cell in cells if cell.method != TFIDF for s in [shape_of(cell)]}
    keys = {i: cache.key_of("shape", backbone.pin, i) for i in shapes}
    found = {i: cache.read("shape", keys[i], ShapeCost) for i in shapes}
    known = {i: cost for i, cost in found.items() if cost is not None}
    # Long ones first, so that none of them runs alone at the end.
    missing = sorted((i for i in shapes if i not in known), key=lambda i: -shapes[i].length)
    listen(0, len(missing))
    for done, (i, cost) in enumerate(
        _computed([(i, shapes[i]) for i in missing], backbone, processes), 1
    ):
        known[i] = cost
        cache.keep("shape", keys[i], cost)
        listen(done, len(missing))
    return known


def _computed(
    shapes: Sequence[tuple[str, Cell]], backbone: Backbone, processes: int
) -> Iterable[tuple[str, ShapeCost]]:
    """Yield the cost of each shape when it is known."""
    if not shapes:
        return
    with workers(min(processes, len(shapes))) as pool:
        waiting = {pool.submit(shape_cost, cell, backbone): i for i, cell in shapes}
        for future in as_completed(waiting):
            error = future.exception()
            cost = ShapeCost(reason=one_line(error)) if error else future.result()
            yield waiting[future], cost


def shape_cost(shape: Cell, backbone: Backbone) -> ShapeCost:
    """Compute the cost of a shape here."""
    from harness.costs.dry_run import dry_run

    try:
        run = dry_run(shape, backbone)
    except Exception as error:  # the code of models and methods may raise anything
        return ShapeCost(reason=f"{type(error).__name__}: {one_line(error)}")
    return ShapeCost(
        train=_step(run.train),
        eval=_step(run.eval),
        trainable_params=run.trainable_params,
        head_params=run.head_params,
        total_params=run.total_params,
    )


def _step(step: Step) -> StepCost:
    work: Any = vars(step.work)
    return StepCost(peak_bytes=step.peak_bytes, parts=step.parts, work=Work(**work))
