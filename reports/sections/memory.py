"""Peak memory of training and evaluation by sequence length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from matplotlib.figure import Figure

from reports.blocks import GIB, MIB, Block, memory, section
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.sections.cost import Cost, Level, cost_blocks, cost_figure, largest
from reports.stats import cost_cells
from reports.style import styled

_PEAK = Cost("peak_bytes", "memory-length", "Peak memory", memory)


@section(order=70, anchor="memory", title="Peak memory by length", figures=[_PEAK.stem])
def memory_by_length(report: Report) -> list[Block]:
    """Peak memory of training and evaluation."""
    return [b for group in report.costs if cost_cells(group.results) for b in _blocks(group)]


def _blocks(group: Group) -> list[Block]:
    how = _peak_of(cost_cells(group.results))
    return cost_blocks(group, _PEAK, memory_figure(group), how)


def _peak_of(cells: Sequence[Result]) -> str:
    if any(r["device"] == "cuda" for r in cells):
        return "Peak of the CUDA allocator (tensors only)."
    thin = "; thin line: the process before the model is loaded"
    return f"Resident peak of the process{thin if any(r['base_bytes'] for r in cells) else ''}."


@styled
def memory_figure(group: Group) -> Figure:
    """Peak memory by length."""
    scale, unit = (GIB, "GiB") if largest(group, _PEAK) >= 2 * GIB else (MIB, "MiB")
    bases = [float(r["base_bytes"]) for r in cost_cells(group.results) if r["base_bytes"]]
    level = Level(median(bases), "process with imports alone") if bases else None
    return cost_figure(group, replace(_PEAK, unit=unit), scale, level)
