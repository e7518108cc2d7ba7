"""Cost against length: peak memory and throughput, training and evaluation apart."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.axes import amount_axis, draw_series, empty_note, legend, over_length
from reports.files import Result
from reports.stats import cost_cells, cost_points
from reports.style import GREY, PAGE, arm_styles, styled
from reports.text import GIB, MIB

PHASES = (("train", "Training"), ("eval", "Evaluation"))


@styled
def memory_by_length(results: Sequence[Result]) -> Figure:
    """Peak memory against length; the thin line is the process before the model is loaded."""
    results = cost_cells(results)
    styles = arm_styles(results)
    canvas = over_length(2, results, styles, PAGE, 2.45)
    series = {phase: cost_points(results, f"{phase}_peak_bytes") for phase, _ in PHASES}
    values = [p.value for s in series.values() for points in s.values() for p in points]
    unit, name = (GIB, "GiB") if max(values, default=0) >= 2 * GIB else (MIB, "MiB")
    bases = [float(r["base_bytes"]) for r in results if r["base_bytes"]]
    more: list[Line2D] = []
    for axes, (phase, title) in zip(canvas.panels, PHASES, strict=True):
        axes.set_title(title)
        draw_series(axes, series[phase], styles, unit, intervals=False)
        shown = [v / unit for v in values]
        if bases:
            base = median(bases) / unit
            shown.append(base)
            line = axes.axhline(base, color=GREY, lw=0.7, zorder=1.2)
            line.set_label("process with imports alone")
            more = [line]
        amount_axis(axes, shown, lambda v: f"{v:,.4g}")
        if not series[phase]:
            empty_note(axes, "no peak was measured")
    canvas.panels[0].set_ylabel(f"Peak memory ({name})")
    measured = {arm for s in series.values() for arm in s}
    legend(canvas.figure, [styles[arm] for arm in styles if arm in measured], more)
    return canvas.figure


@styled
def throughput_by_length(results: Sequence[Result]) -> Figure:
    """Tokens per second against length; bars are the quartiles over steps."""
    results = cost_cells(results)
    styles = arm_styles(results)
    canvas = over_length(2, results, styles, PAGE, 2.45)
    series = {phase: cost_points(results, f"{phase}_tokens_per_s") for phase, _ in PHASES}
    values = [
        v for s in series.values() for points in s.values() for p in points for v in (p.low, p.high)
    ]
    for axes, (phase, title) in zip(canvas.panels, PHASES, strict=True):
        axes.set_title(title)
        draw_series(axes, series[phase], styles)
        amount_axis(axes, values, lambda v: f"{v:,.4g}")
        if not series[phase]:
            empty_note(axes, "no throughput was measured")
    canvas.panels[0].set_ylabel("Throughput (tokens/s)")
    measured = {arm for s in series.values() for arm in s}
    legend(canvas.figure, [styles[arm] for arm in styles if arm in measured])
    return canvas.figure
