"""The bill of a sweep in the terminal: `bench-long plan`, and the start of `bench-long run`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from harness.cli.console import coloured, make_console
from harness.core.errors import one_line
from harness.core.methods import method_info

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from harness.core.cell import Cell
    from harness.core.folder import RunFolder
    from harness.core.predicted import Predicted
    from harness.costs.bill import Bill
    from harness.costs.devices import Device
    from harness.planning.plan import Plan

_PARTS = {
    "Weights": ("weights",),
    "Grad+opt": ("gradients", "optimizer"),
    "Saved": ("saved_base", "saved_adapter", "saved_logits", "saved_attention"),
    "Rest": ("transient",),
}
"""Columns of the table, and the parts of live memory in each."""

_GIB, _MIB = 2**30, 2**20


def show_bill(plan: Plan, console: Console, device: Device | None) -> None:
    """Price a plan and print its bill."""
    from harness.system.resources import default_workers

    workers = default_workers(plan.cells[0].device)
    bill = price(plan, workers, device)
    print_bill(plan.cells, bill, workers, console, device)
    if line := kept_line(plan, bill, workers):
        console.print(coloured(line), soft_wrap=True)


def kept_line(plan: Plan, bill: Bill, workers: int) -> str:
    """Return what kept models and checkpoints will take on the disk; empty if that is nothing."""
    from harness.kept.rules import Keeping, checkpoint_bytes, kept_bytes

    sweep, found = plan.sweep, bill.run.cells
    seconds = sweep.limits.checkpoint_seconds
    keeping = Keeping(Path(), sweep.keep, sweep.keep_full, seconds)
    sizes = {
        cell.id: (found[cell.id].trainable_params or 0, found[cell.id].total_params or 0)
        for cell in plan.cells
        if cell.kind == "train" and cell.id in found
    }
    long = [i for i in sizes if seconds and (found[i].cell_s or 0) >= seconds]
    parts = (
        ("kept models", kept_bytes(plan.cells, keeping, sizes)),
        ("checkpoints", checkpoint_bytes([sizes[i][0] for i in long], workers)),
    )
    said = [f"{name} take about {size / _MIB:,.1f} MiB" for name, size in parts if size]
    return "; ".join(said)


def keep_predictions(plan: Plan, folder: RunFolder, workers: int, console: Console) -> None:
    """Price a plan before its run and write the predictions into the run folder.

    Predictions of cells of an earlier sweep in the folder stay. A failure stops no run. Nothing is
    calibrated: that would take longer than a small run.
    """
    try:
        bill = price(plan, workers, calibrate=False)
        folder.add_predicted(bill.run)
    except Exception as error:  # anything in the code of models and methods
        console.print(coloured((f"costs are not predicted: {one_line(error)}", "yellow")))
        return
    if bill.unfit:
        console.print(_unfit(plan.cells, bill), soft_wrap=True)


def price(plan: Plan, workers: int, device: Device | None = None, calibrate: bool = True) -> Bill:
    """Price a plan and show progress on standard error."""
    from harness.costs.bill import make_bill

    limit = plan.sweep.limits.cell_gib
    cells = plan.cells
    if device and device.flops_per_s and plan.sweep.dtype == "auto":
        cells = [cell.model_copy(update={"dtype": "bfloat16"}) for cell in cells]
    with make_console(stderr=True).status("pricing") as status:
        return make_bill(
            cells,
            plan.backbone,
            workers,
            device,
            None if limit is None else int(limit * _GIB),
            status.update,
            calibrate,
        )


def print_bill(
    cells: Sequence[Cell], bill: Bill, workers: int, console: Console, device: Device | None = None
) -> None:
    """Print a row for each arm and length, then what does not fit, and the total time."""
    for kind, name in (("train", "Training"), ("probe", "Probes")):
        own = [cell for cell in cells if cell.kind == kind and cell.id in bill.run.cells]
        if own:
            console.print(_table(name, own, bill))
    if bill.unfit:
        console.print(_unfit(cells, bill), soft_wrap=True)
    reasons = {
        f"{cell.arm}: {one.reason}": None
        for cell in cells
        if (one := bill.run.cells.get(cell.id)) and one.reason
    }
    if reasons:
        console.print(coloured(f"not priced: {_short(reasons)}"), soft_wrap=True)
    for line in _notes(bill, workers, device):
        console.print(coloured(line), soft_wrap=True)


def _unfit(cells: Sequence[Cell], bill: Bill) -> Text:
    """The line that names the arms without enough memory."""
    names = dict.fromkeys(f"{c.arm} at {c.length}" for c in cells if c.id in bill.unfit)
    place = bill.run.device or "this machine"
    line = f"will not fit in {bill.memory_bytes / _GIB:.1f} GiB of {place}: "
    return coloured((line, "red"), _short(names))


def _table(name: str, cells: Sequence[Cell], bill: Bill) -> Table:
    rows: dict[tuple[str, int, int], list[Cell]] = {}
    for cell in sorted(cells, key=_order):
        rows.setdefault((cell.arm, cell.length, cell.batch_size), []).append(cell)
    found = [bill.run.cells[cell.id] for cell in cells]
    peak = max(
        (one.train_live_peak_bytes or one.eval_live_peak_bytes or 0 for one in found), default=0
    )
    scale, unit = (_GIB, "GiB") if peak >= 20 * _GIB else (_MIB, "MiB")
    batches = ", ".join(map(str, sorted({cell.batch_size for cell in cells})))
    table = Table(
        title=f"{name}: batch {batches}; live memory in {unit} at the peak of a step, and parts",
        title_justify="left", title_style="", box=None, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    heads = ("Tokens", "Trained", "Peak", *_PARTS, "GFLOP", "s/step", "Cell")
    table.add_column("Arm", overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for (arm, length, _), own in rows.items():
        predicted = [bill.run.cells[cell.id] for cell in own]
        if not any(one.eval_live_peak_bytes for one in predicted):
            continue
        marked = any(cell.id in bill.unfit for cell in own)
        table.add_row(coloured(arm), str(length), *_values(predicted, scale, marked))
    return table


def _order(cell: Cell) -> tuple[object, ...]:
    """Arms as in the report, each with its lengths."""
    return method_info(cell.method).order, -(cell.density or 1), cell.arm, cell.length


def _values(found: Sequence[Predicted], scale: int, marked: bool) -> Iterable[str]:
    """The entries of a row whose cells differ in task and seed at most."""
    first = found[0]
    peak = first.train_live_peak_bytes or first.eval_live_peak_bytes or 0
    yield f"{(first.trainable_params or 0) - (first.head_params or 0):,}"
    yield f"{'! ' if marked else ''}{peak / scale:,.1f}"
    for parts in _PARTS.values():
        size = sum(first.parts.get(part) or 0 for part in parts)
        yield f"{size / scale:,.1f}" if first.parts else ""
    yield f"{(first.train_flops or first.eval_flops or 0) / 1e9:,.1f}"
    step = first.train_step_s or first.eval_step_s
    yield "" if step is None else f"{step:.3g}"
    seconds = [one.cell_s for one in found if one.cell_s is not None]
    yield duration(max(seconds)) if seconds else ""


def _notes(bill: Bill, workers: int, device: Device | None) -> Iterable[str]:
    yield "Trained: parameters without the classifier"
    sizes = sum(one.result_bytes or 0 for one in bill.run.cells.values())
    disk = f"result files take about {sizes / 1024:,.0f} KiB"
    if bill.seconds is None:
        why = " for a size of memory alone" if device else ": the calibration failed"
        yield f"{disk}; times are not predicted{why}"
        return
    total = f"total: about {duration(bill.seconds)}"
    if bounds := bill.range_s:
        total += f" ({duration(bounds[0])} to {duration(bounds[1])})"
    yield f"{total} with {workers} cells at a time; {disk}"
    if device:
        yield (
            f"times for {device.name} are not calibrated: rates of its data sheet "
            f"({device.source}) and 5 µs for the launch of an operator, as on one H200"
        )
    else:
        yield "in these times every text counts as long as its cell allows"


def duration(seconds: float) -> str:
    """Seconds as s, min or h."""
    if seconds < 100:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _short(names: Iterable[str], most: int = 6) -> str:
    names = [*names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")
