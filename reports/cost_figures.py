"""Cost against length: peak memory and throughput, training and evaluation apart."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.axes import Canvas, amount_axis, draw_series, empty_note, legend, over_length
from reports.files import Result
from reports.reach import reach_notes
from reports.stats import Series, cost_cells, cost_points
from reports.style import COLUMN, GREY, PAGE, ArmStyle, arm_styles, styled
from reports.text import GIB, MIB

_TITLES = {"train": "Training", "eval": "Evaluation"}


@styled
def memory_by_length(results: Sequence[Result]) -> Figure:
    """Peak memory against length; the thin line is the process before the model is loaded."""
    results = cost_cells(results)
    styles = arm_styles(results)
    series = _phases(results, "peak_bytes")
    canvas = _canvas(results, styles, series)
    values = [p.value for s in series.values() for points in s.values() for p in points]
    unit, name = (GIB, "GiB") if max(values, default=0) >= 2 * GIB else (MIB, "MiB")
    bases = [float(r["base_bytes"]) for r in results if r["base_bytes"]]
    more: list[Line2D] = []
    for axes, (phase, found) in zip(canvas.panels, series.items(), strict=True):
        axes.set_title(_TITLES[phase])
        axes.set_ylabel(f"Peak memory ({name})")
        draw_series(axes, found, styles, unit, intervals=False, spread=0.35)
        shown = [p.value / unit for points in found.values() for p in points]
        if bases:
            base = median(bases) / unit
            shown.append(base)
            line = axes.axhline(base, color=GREY, lw=0.7, zorder=1.2)
            line.set_label("process with imports alone")
            more = [line]
        amount_axis(axes, shown, lambda v: f"{v:,.4g}")
        if not found:
            empty_note(axes, "no peak was measured")
    measured = {arm for s in series.values() for arm in s}
    legend(canvas.figure, [styles[arm] for arm in styles if arm in measured], more)
    return canvas.figure


@styled
def throughput_by_length(results: Sequence[Result]) -> Figure:
    """Tokens per second against length; bars are the quartiles over steps."""
    results = cost_cells(results)
    styles = arm_styles(results)
    series = _phases(results, "tokens_per_s")
    canvas = _canvas(results, styles, series)
    for axes, (phase, found) in zip(canvas.panels, series.items(), strict=True):
        axes.set_title(_TITLES[phase])
        axes.set_ylabel("Throughput (tokens/s)")
        draw_series(axes, found, styles, spread=0.6)
        values = [v for points in found.values() for p in points for v in (p.low, p.value, p.high)]
        amount_axis(axes, values, lambda v: f"{v:,.4g}")
        if not found:
            empty_note(axes, "no throughput was measured")
    measured = {arm for s in series.values() for arm in s}
    legend(canvas.figure, [styles[arm] for arm in styles if arm in measured])
    return canvas.figure


def _phases(results: Sequence[Result], column: str) -> dict[str, Series]:
    """Training and evaluation, each where it was measured; training if neither was."""
    found = {phase: cost_points(results, f"{phase}_{column}") for phase in _TITLES}
    return {phase: s for phase, s in found.items() if s} or {"train": {}}


def _canvas(
    results: Sequence[Result], styles: dict[str, ArmStyle], series: dict[str, Series]
) -> Canvas:
    width = PAGE if len(series) > 1 else COLUMN * 1.25
    return over_length(len(series), results, styles, width, 2.45, reach_notes(results))
