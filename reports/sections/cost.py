"""Peak memory by sequence length; and what it shares with the section on throughput.

They share phases, source, figure and table by length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from reports.axes import details_of, legend, over_length, series_curves
from reports.blocks import (
    GIB,
    MIB,
    Block,
    Entry,
    Failed,
    Table,
    Text,
    exact_memory,
    joined,
    memory,
    section,
    span,
)
from reports.figures.describe import GREY, Chart, Key, Level, Look, Panel, amounts, ends
from reports.frame import Result
from reports.groups import Group, reach_caption
from reports.page import Report
from reports.sections.accuracy import values_alt
from reports.seeds import arms
from reports.stats import Series, cost_cells, cost_points, peak_column
from reports.style import COLUMN, PAGE, arm_styles, picture

_PHASES = {"train": "Training", "eval": "Evaluation"}


@dataclass(frozen=True)
class Cost:
    """A cost: the end of its columns, the stem of its figure, its name, and its text form.

    `spread`: its columns `_low` and `_high` hold quartiles. `unit`: the name of the unit on the
    axis.
    """

    column: str
    stem: str
    name: str
    text: Callable[[float], str]
    spread: bool = False
    unit: str = ""


def cost_blocks(group: Group, cost: Cost, chart: Chart, how: str) -> list[Block]:
    """The figure of a cost with its caption, and its table. `how`: what is measured."""
    cells = cost_cells(group.results)
    series = _phases(cells, cost)
    note = reach_caption(group.reach)
    caption = joined(f"{cost.name} by length.", how, source(cells), note, by=" ")
    alt = joined(
        *(values_alt(s, cells, f"{_PHASES[phase]}, by length in tokens.", cost.text)
          for phase, s in series.items()),
        note,
        by=" ",
    )  # fmt: skip
    return [picture(cost.stem, group, chart, caption, alt), _table(group, cells, series, cost)]


def _phases(cells: Sequence[Result], cost: Cost) -> dict[str, Series]:
    """The measured phases; training if none was measured."""
    found = {phase: cost_points(cells, f"{phase}_{cost.column}") for phase in _PHASES}
    return {phase: s for phase, s in found.items() if s} or {"train": {}}


def source(cells: Sequence[Result]) -> str:
    """Where the costs come from."""
    sizes, steps, rounds = (
        span([str(n) for n in sorted({int(r[name]) for r in cells if r[name]})])
        for name in ("batch_size", "steps", "rounds")
    )
    if cells[0]["kind"] == "probe":
        count = f"{rounds} rounds" if rounds else f"{steps or '?'} steps"
        return f"Source: probes, {count} after one warm-up step, batch size {sizes or '?'}."
    return f"Source: training runs (no probes), batch size {sizes}; short texts are padded."


def cost_chart(group: Group, cost: Cost, scale: float = 1.0, level: Level | None = None) -> Chart:
    """A cost by length: a panel for training and one for evaluation. Values are over `scale`."""
    cells = cost_cells(group.results)
    styles, series = arm_styles(cells), _phases(cells, cost)
    width = PAGE if len(series) > 1 else COLUMN * 1.25
    spread = 0.6 if cost.spread else 0.35
    details = details_of(cells)
    panels = []
    for phase, found in series.items():
        curves = series_curves(
            found, styles, scale, cost.spread, spread=spread, text=cost.text, details=details
        )
        shown = [*ends(curves), *([level.value] if level else [])]
        panels.append(
            Panel(
                y=amounts(shown, f"{cost.name} ({cost.unit})"),
                title=_PHASES[phase],
                curves=tuple(curves),
                levels=(level,) if level else (),
                empty="" if found else "not measured",
            )
        )
    canvas = over_length(panels, cells, styles, width, 2.45, group.reach)
    measured = {arm for s in series.values() for arm in s}
    more = [Key(level.name, level.name, level.look)] if level else []
    return replace(canvas, legend=legend([styles[a] for a in styles if a in measured], more))


def largest(group: Group, cost: Cost) -> float:
    """The largest value of a cost in a group; 0 without values."""
    series = _phases(cost_cells(group.results), cost).values()
    return max((p.value for s in series for points in s.values() for p in points), default=0.0)


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
    unit = f" in {cost.unit}, with quartiles" if cost.spread else ""
    caption = group.about(f"{cost.name}{unit}")
    return Table(caption, ["Arm", "Phase", *heads], rows, frozenset(heads), folded=True)


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
        return "Peak of the CUDA allocator: tensors and workspaces of kernels."
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
