"""Peak memory and throughput by sequence length, training and evaluation apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.axes import amount_axis, draw_series, empty_note, legend, over_length
from reports.blocks import (
    GIB,
    MIB,
    Block,
    Entry,
    Failed,
    Table,
    joined,
    memory,
    rate,
    section,
    span,
)
from reports.frame import Result
from reports.groups import Group, reach_caption
from reports.page import Report
from reports.sections.accuracy import values_alt
from reports.stats import Series, arms, cost_cells, cost_points
from reports.style import COLUMN, GREY, PAGE, arm_styles, picture, styled

_PHASES = {"train": "Training", "eval": "Evaluation"}


@dataclass(frozen=True)
class Cost:
    """A cost: the end of its columns, the stem of its figure, its name, and its text form."""

    column: str
    stem: str
    name: str
    text: Callable[[float], str]
    spread: bool


MEMORY = Cost("peak_bytes", "memory-length", "Peak memory", memory, spread=False)
THROUGHPUT = Cost("tokens_per_s", "throughput-length", "Throughput", rate, spread=True)


@section(order=70, anchor="memory", title="Peak memory by length", figures=["memory-length"])
def memory_by_length(report: Report) -> list[Block]:
    """Peak memory of training and evaluation."""
    return [b for group in report.costs for b in _blocks(group, MEMORY)]


@section(order=71, anchor="throughput", title="Throughput by length", figures=["throughput-length"])
def throughput_by_length(report: Report) -> list[Block]:
    """Tokens per second of training and evaluation."""
    return [b for group in report.costs for b in _blocks(group, THROUGHPUT)]


def _blocks(group: Group, cost: Cost) -> list[Block]:
    cells = cost_cells(group.results)
    if not cells:
        return []
    series = _phases(cells, cost)
    note = reach_caption(group.reach)
    how = "Bars: quartiles over steps." if cost.spread else f"{_peak_of(cells)}."
    caption = joined(f"{cost.name} by length.", how, _source(cells), note, by=" ")
    alt = joined(
        *(values_alt(s, cells, f"{_PHASES[phase]}, by length in tokens.", cost.text)
          for phase, s in series.items()),
        note,
        by=" ",
    )  # fmt: skip
    figure = cost_figure(group, cost)
    return [picture(cost.stem, group, figure, caption, alt), _table(group, cells, series, cost)]


def _phases(cells: Sequence[Result], cost: Cost) -> dict[str, Series]:
    """The measured phases; training if none was measured."""
    found = {phase: cost_points(cells, f"{phase}_{cost.column}") for phase in _PHASES}
    return {phase: s for phase, s in found.items() if s} or {"train": {}}


def _source(cells: Sequence[Result]) -> str:
    """Where the costs come from."""
    sizes, steps = (
        span([str(n) for n in sorted({int(r[name]) for r in cells if r[name]})]) or "?"
        for name in ("batch_size", "steps")
    )
    if cells[0]["kind"] == "probe":
        return f"Source: probes, {steps} steps after one warm-up step, batch size {sizes}."
    return f"Source: training runs (no probes), batch size {sizes}; short texts are padded."


def _peak_of(cells: Sequence[Result]) -> str:
    if any(r["device"] == "cuda" for r in cells):
        return "Peak of the CUDA allocator (tensors only)"
    thin = "; thin line: the process before the model is loaded"
    return "Resident peak of the process" + (thin if any(r["base_bytes"] for r in cells) else "")


@styled
def cost_figure(group: Group, cost: Cost) -> Figure:
    """A cost by length: a panel for training and one for evaluation."""
    cells = cost_cells(group.results)
    styles, series = arm_styles(cells), _phases(cells, cost)
    width = PAGE if len(series) > 1 else COLUMN * 1.25
    canvas = over_length(len(series), cells, styles, width, 2.45, group.reach)
    values = [p.value for s in series.values() for points in s.values() for p in points]
    unit, name = 1.0, "tokens/s"
    if cost is MEMORY:
        unit, name = (GIB, "GiB") if max(values, default=0) >= 2 * GIB else (MIB, "MiB")
    bases = [float(r["base_bytes"]) for r in cells if r["base_bytes"] and cost is MEMORY]
    more: list[Line2D] = []
    for axes, (phase, found) in zip(canvas.panels, series.items(), strict=True):
        axes.set_title(_PHASES[phase])
        axes.set_ylabel(f"{cost.name} ({name})")
        draw_series(axes, found, styles, unit, cost.spread, spread=0.6 if cost.spread else 0.35)
        points = [p for points in found.values() for p in points]
        ends = [
            v for p in points for v in ((p.low, p.value, p.high) if cost.spread else (p.value,))
        ]
        shown = [v / unit for v in ends]
        if bases:
            shown.append(median(bases) / unit)
            line = axes.axhline(shown[-1], color=GREY, lw=0.7, zorder=1.2)
            line.set_label("process with imports alone")
            more = [line]
        amount_axis(axes, shown, lambda v: f"{v:,.4g}")
        if not found:
            empty_note(axes, "not measured")
    measured = {arm for s in series.values() for arm in s}
    legend(canvas.figure, [styles[arm] for arm in styles if arm in measured], more)
    return canvas.figure


def _table(group: Group, cells: Sequence[Result], series: dict[str, Series], cost: Cost) -> Table:
    lengths = sorted({int(r["length"]) for r in cells})
    rows: list[list[Entry]] = []
    for phase in series:
        for arm in arms(cells):
            points = {p.length: p for p in series[phase].get(arm, [])}
            row: list[Entry] = [arm, _PHASES[phase]]
            for length in lengths:
                failed = [
                    Failed(str(r["status"]))
                    for r in cells
                    if r["arm"] == arm and r["length"] == length and not r.ok
                ]
                if p := points.get(length):
                    ends = f" ({cost.text(p.low)} to {cost.text(p.high)})" if cost.spread else ""
                    row.append(cost.text(p.value) + ends)
                else:
                    row.append(failed[0] if failed else "")
            rows.append(row)
    heads = [f"{n} tokens" for n in lengths]
    unit = " in tokens/s, with quartiles" if cost.spread else ""
    caption = group.about(f"{cost.name}{unit}")
    return Table(caption, ["Arm", "Phase", *heads], rows, frozenset(heads), folded=True)
