"""Peak memory of training and evaluation by sequence length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from reports.blocks import GIB, MIB, Block, Text, exact_memory, memory, section
from reports.figures.describe import GREY, Chart, Level, Look
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.sections.cost import Cost, cost_blocks, cost_chart, largest
from reports.stats import cost_cells, peak_column

_LIVE = Cost("live_peak_bytes", "memory-length", "Live memory", exact_memory)
_RESIDENT = Cost("peak_bytes", "memory-length", "Resident memory", memory)


@section(order=70, anchor="memory", title="Peak memory by length", figures=[_LIVE.stem])
def memory_by_length(report: Report) -> list[Block]:
    """Peak memory of training and evaluation."""
    return [b for group in report.costs if cost_cells(group.results) for b in _blocks(group)]


def _blocks(group: Group) -> list[Block]:
    cells = cost_cells(group.results)
    cost = _measure(cells)
    blocks = cost_blocks(group, cost, memory_figure(group), _counted(cells, cost))
    notes = dict.fromkeys(str(r["memory_note"]) for r in cells if r["memory_note"])
    return [*blocks, *(Text(f"Memory: {note}.", "note") for note in notes)]


def _measure(cells: Sequence[Result]) -> Cost:
    """Live memory where it was measured; in older files the peak of the process."""
    cost = _LIVE if peak_column(cells) == _LIVE.column else _RESIDENT
    return replace(cost, name="Allocated memory") if _on_gpu(cells) else cost


def _on_gpu(cells: Sequence[Result]) -> bool:
    return any(r["device"] == "cuda" for r in cells)


def _counted(cells: Sequence[Result], cost: Cost) -> str:
    """What is counted, as a sentence of the caption."""
    if _on_gpu(cells):
        return "Peak of the CUDA allocator (tensors only)."
    if cost.column == _LIVE.column:
        return (
            "Peak of the bytes of all live tensors in one untimed step: weights, gradients, "
            "optimizer state, activations. Buffers inside of kernels and the interpreter are not "
            "counted."
        )
    thin = "; thin line: the process before the model is loaded"
    return f"Resident peak of the process{thin if any(r['base_bytes'] for r in cells) else ''}."


def memory_figure(group: Group) -> Chart:
    """Peak memory by length."""
    cells = cost_cells(group.results)
    cost = _measure(cells)
    scale, unit = (GIB, "GiB") if largest(group, cost) >= 2 * GIB else (MIB, "MiB")
    bases = [float(r["base_bytes"]) for r in cells if r["base_bytes"]]
    shown = bases and cost.column == _RESIDENT.column
    look = Look(GREY, line="-", width=0.7, behind=True)
    level = Level(median(bases) / scale, look, "process with imports alone") if shown else None
    return cost_chart(group, replace(cost, unit=unit), scale, level)
