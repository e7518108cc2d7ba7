"""Step times of probes relative to a reference arm, paired by round, and tokens per second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from harness.core.methods import FULL, HEAD, LORA
from harness.core.timing import MERGED, PHASES, Phase, Timing, compared, paired_ratios
from reports.axes import details_of, legend, over_length, series_curves
from reports.blocks import Block, Entry, Table, Text, joined, percent, rate, section
from reports.figures.describe import GREY, Axis, Chart, Level, Look, Panel, around, ends
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.sections.accuracy import values_alt
from reports.sections.cost import Cost, cost_blocks, cost_chart
from reports.seeds import arms
from reports.stats import Point, Series, cost_cells
from reports.style import PAGE, ArmStyle, arm_styles, picture

_RATE = Cost("tokens_per_s", "throughput-length", "Throughput", rate, spread=True, unit="tokens/s")
_STEM = "step-time-length"
_NAMES: dict[Phase, str] = {"train": "Training step", "eval": "Forward pass"}
_UNDISTURBED = 0.9
"""Least share of CPU time in the wall-clock time of a step on an idle core."""


@section(order=71, anchor="step-time", title="Step time by length", figures=[_STEM])
def step_time_by_length(report: Report) -> list[Block]:
    """Step times relative to the reference arm, with intervals over rounds; then all figures."""
    return [block for group in report.costs for block in _blocks(group)]


def _blocks(group: Group) -> list[Block]:
    cells = timed_cells(group)
    if not cells:
        return []
    reference = reference_arm(cells)
    counts = sorted({len(timing_of(r).seconds("train")) for r in cells})
    how = (
        f"Step time ({clock(cells)}) divided by that of {reference} in the same round, on "
        f"full-length batches of random tokens: below 1 is faster. Bars: 95 % intervals over "
        f"{counts[0]}"
        + (f" to {counts[-1]}" if len(counts) > 1 else "")
        + " rounds; in a round every arm does one step, in random order, and nothing else of the "
        "run is active."
    )
    ratios = {phase: ratios_of(cells, reference, phase) for phase in PHASES}
    caption = f"Step time relative to {reference}."
    alt = joined(
        *(values_alt(s, cells, f"{_NAMES[p]}, by length in tokens.", _ratio_text)
          for p, s in ratios.items()),
        by=" ",
    )  # fmt: skip
    blocks: list[Block] = [
        picture(_STEM, group, ratio_figure(group), f"{caption} {how}", alt),
        ratio_table(group, cells, ratios, reference, _NAMES),
    ]
    notes = [r for r in cells if disturbance(r, "train")]
    if notes:
        text = (
            f"In {len(notes)} of {len(cells)} probes the CPU time of a training step is less than "
            f"{percent(_UNDISTURBED)} of its wall-clock time: other programs used the processors. "
            "There, tokens/s are too low; the ratios above are of CPU times."
        )
        blocks.append(Text(text, "warning"))
    return [*blocks, _details(group, cells)]


def ratio_tables(group: Group) -> list[Table]:
    """Ratios of training steps by length; none without rounds."""
    cells = timed_cells(group)
    if not cells:
        return []
    reference = reference_arm(cells)
    ratios: dict[Phase, Series] = {"train": ratios_of(cells, reference, "train")}
    return [ratio_table(group, cells, ratios, reference, _NAMES)]


def clock(cells: Sequence[Result]) -> str:
    """The time that arms are compared by."""
    on_gpu = any(r["device"] == "cuda" for r in cells)
    return "wall-clock time" if on_gpu else "CPU time: what it takes on an idle core"


def timed_cells(group: Group) -> list[Result]:
    """The probes of a group that were measured in rounds."""
    return [r for r in cost_cells(group.results) if r.ok and timing_of(r).seconds("train")]


def timing_of(result: Result) -> Timing:
    """The rounds of a cell; empty for cells without."""
    return result.get("timing") or Timing()


def reference_arm(cells: Sequence[Result]) -> str:
    """LoRA at density 1, otherwise the first adapter, otherwise the first arm."""
    adapters = [r for r in cells if r["method"] not in (FULL, HEAD)]
    dense = [r for r in adapters if r["method"] == LORA and r["density"] == 1]
    return str((dense or adapters or list(cells))[0]["arm"])


def ratios_of(cells: Sequence[Result], reference: str, phase: Phase) -> Series:
    """The ratio of each arm's step time to the reference's, by length, with its interval.

    Times with a merged adapter are those of an arm of their own.
    """
    groups: dict[tuple[int, str], dict[str, list[float]]] = {}
    for r in sorted(cells, key=lambda r: r.order):
        group = groups.setdefault((int(r["length"]), str(r["timing_group"])), {})
        timing = timing_of(r)
        for arm, step in variants(str(r["arm"]), phase).items():
            walls, cpus = timing.seconds(step), timing.cpu_seconds(step)
            if walls:
                group[arm] = compared(walls, cpus, str(r["device"]))
    series: Series = {name: [] for arm in arms(cells) for name in variants(arm, phase)}
    for (length, _), times in sorted(groups.items()):
        if reference in times:
            for arm, ratio in paired_ratios(times, reference).items():
                series[arm].append(Point(length, ratio.value, ratio.low, ratio.high))
    return {arm: points for arm, points in series.items() if points}


def variants(arm: str, phase: Phase) -> dict[str, Phase]:
    """The arm and, for a step that is also done with a merged adapter, that one."""
    merged = {f"{arm}, merged": MERGED[phase]} if phase in MERGED else {}
    return {arm: phase, **merged}


def ratio_figure(group: Group) -> Chart:
    """Ratios by length: a panel for training steps and one for forward passes."""
    cells = timed_cells(group)
    reference, styles = reference_arm(cells), arm_styles(cells)
    ratios = {phase: ratios_of(cells, reference, phase) for phase in PHASES}
    return ratio_panels(group, cells, ratios, reference, _NAMES, styles)


def ratio_panels(
    group: Group,
    cells: Sequence[Result],
    ratios: dict[Phase, Series],
    reference: str,
    names: dict[Phase, str],
    styles: dict[str, ArmStyle],
) -> Chart:
    """Ratios by length: a panel for each step."""
    equal = Level(1.0, Look(GREY, line="-", width=0.7, behind=True))
    panels = []
    for phase, found in ratios.items():
        curves = series_curves(
            found, styles, spread=0.6, text=_ratio_text, details=details_of(cells)
        )
        y = Axis(f"Time / time of {reference}", limits=around([1.0, *ends(curves)]))
        panels.append(Panel(y=y, title=names[phase], curves=tuple(curves), levels=(equal,)))
    canvas = over_length(panels, cells, styles, PAGE, 2.45, group.reach)
    return replace(canvas, legend=legend(list(styles.values())))


def ratio_table(
    group: Group,
    cells: Sequence[Result],
    ratios: dict[Phase, Series],
    reference: str,
    names: dict[Phase, str],
) -> Table:
    """Ratios with their intervals: a row for each arm and step."""
    lengths = sorted({int(r["length"]) for r in cells})
    rows: list[list[Entry]] = []
    for phase, series in ratios.items():
        labels = (n for arm in arms(cells) for n in variants(arm, phase) if n == arm or n in series)
        for arm in labels:
            points = {p.length: p for p in series.get(arm, [])}
            texts = [interval_text(points[n]) if n in points else "" for n in lengths]
            rows.append([arm, names[phase], *texts])
    heads = [f"{n} tokens" for n in lengths]
    caption = group.about(f"Step time relative to {reference}, with 95 % intervals")
    return Table(caption, ["Arm", "Step", *heads], rows, frozenset(heads))


def _ratio_text(value: float) -> str:
    return f"{value:.3f}"


def interval_text(point: Point) -> str:
    """A ratio with its interval."""
    if f"{point.low:.3f}" == f"{point.high:.3f}":
        return _ratio_text(point.value)
    return f"{point.value:.3f} ({point.low:.3f} to {point.high:.3f})"


def _details(group: Group, cells: Sequence[Result]) -> Table:
    """Wall-clock and CPU time of a step, its FLOPs, and its share of the measured peak."""
    rows: list[list[Entry]] = []
    for phase in PHASES:
        for r in sorted(cells, key=lambda r: (int(r["length"]), r.order)):
            timing = timing_of(r)
            wall, cpu = median(timing.seconds(phase)), median(timing.cpu_seconds(phase))
            flops, peak = r[f"{phase}_flops"], timing.peak_flops_per_s
            known = flops and peak and wall
            rows.append(
                [
                    str(r["arm"]), _NAMES[phase], str(r["length"]), f"{1e3 * wall:,.1f}",
                    f"{1e3 * cpu:,.1f}", f"{flops / 1e9:,.1f}" if flops else "",
                    percent(flops / wall / peak) if known else "", disturbance(r, phase),
                ]
            )  # fmt: skip
    head = ["Arm", "Step", "Length", "Wall ms", "CPU ms", "GFLOP", "Share of peak", "Note"]
    peaks = sorted({timing_of(r).peak_flops_per_s or 0.0 for r in cells})
    caption = group.about(
        "Medians over rounds. GFLOP: matrix products of a step, by PyTorch's counter. Share of "
        f"peak: of {peaks[-1] / 1e9:,.0f} GFLOP/s at most, measured by a matrix product on the "
        "same cores before the rounds"
    )
    return Table(caption, head, rows, frozenset(head[2:-1]), folded=True)


def disturbance(result: Result, phase: Phase) -> str:
    """A note if the processors did not work on a step for all of its time; else empty."""
    timing, threads = timing_of(result), int(result["threads"] or 1)
    wall = median(timing.seconds(phase)) * threads
    cpu = median(timing.cpu_seconds(phase))
    if result["device"] == "cuda" or not wall or cpu >= _UNDISTURBED * wall:
        return ""
    return f"disturbed: CPU time is {percent(cpu / wall)} of wall-clock time"


@section(order=71, anchor="throughput", title="Throughput by length", figures=[_RATE.stem])
def throughput_by_length(report: Report) -> list[Block]:
    """Tokens per second of training and evaluation."""
    return [b for group in report.costs if cost_cells(group.results) for b in _throughput(group)]


def _throughput(group: Group) -> list[Block]:
    rounds = any(r["rounds"] for r in cost_cells(group.results))
    how = f"Bars: quartiles over {'rounds' if rounds else 'steps'}."
    return cost_blocks(group, _RATE, throughput_figure(group), how)


def throughput_figure(group: Group) -> Chart:
    """Throughput by length, with quartiles over steps as bars."""
    return cost_chart(group, _RATE)
