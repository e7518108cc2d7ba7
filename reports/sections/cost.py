"""What the sections on memory and throughput share: phases, source, figure and table by length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from reports.axes import amount_axis, draw_series, empty_note, legend, over_length
from reports.blocks import Block, Entry, Failed, Table, joined, span
from reports.frame import Result
from reports.groups import Group, reach_caption
from reports.sections.accuracy import values_alt
from reports.stats import Series, arms, cost_cells, cost_points
from reports.style import COLUMN, GREY, PAGE, arm_styles, picture

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


@dataclass(frozen=True)
class Level:
    """A horizontal line in the panels of a cost."""

    value: float
    label: str


def cost_blocks(group: Group, cost: Cost, figure: Figure, how: str) -> list[Block]:
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
    return [picture(cost.stem, group, figure, caption, alt), _table(group, cells, series, cost)]


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


def cost_figure(group: Group, cost: Cost, scale: float = 1.0, level: Level | None = None) -> Figure:
    """A cost by length: a panel for training and one for evaluation. Values are over `scale`."""
    cells = cost_cells(group.results)
    styles, series = arm_styles(cells), _phases(cells, cost)
    width = PAGE if len(series) > 1 else COLUMN * 1.25
    canvas = over_length(len(series), cells, styles, width, 2.45, group.reach)
    lines = []
    for axes, (phase, found) in zip(canvas.panels, series.items(), strict=True):
        axes.set_title(_PHASES[phase])
        axes.set_ylabel(f"{cost.name} ({cost.unit})")
        draw_series(axes, found, styles, scale, cost.spread, spread=0.6 if cost.spread else 0.35)
        points = [p for points in found.values() for p in points]
        ends = [
            v for p in points for v in ((p.low, p.value, p.high) if cost.spread else (p.value,))
        ]
        shown = [v / scale for v in ends]
        if level:
            shown.append(level.value / scale)
            line = axes.axhline(shown[-1], color=GREY, lw=0.7, zorder=1.2)
            line.set_label(level.label)
            lines = [line]
        amount_axis(axes, shown, lambda v: f"{v:,.4g}")
        if not found:
            empty_note(axes, "not measured")
    measured = {arm for s in series.values() for arm in s}
    legend(canvas.figure, [styles[arm] for arm in styles if arm in measured], lines)
    return canvas.figure


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
