"""Scores by insertion density and by trainable parameters, and the state connections (links)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.core.cell import density_label
from harness.core.methods import BASELINES, SSMLORA
from reports.axes import empty_note, legend, marked, panels
from reports.blocks import Block, Entry, Table, joined, listed, parameters, section, span, wrapped
from reports.frame import Result
from reports.groups import Group, with_reach
from reports.page import Report
from reports.sections.accuracy import baseline_caption, far_off, interval_caption, values_alt
from reports.stats import Point, Series, arms, baseline_of, failures
from reports.style import (
    COLUMN,
    GREY,
    PAGE,
    ArmStyle,
    arm_styles,
    baseline_handle,
    baseline_lines,
    ink_on,
    new_figure,
    picture,
    styled,
)

_WIDTH = 187.0  # of a panel, in points
_LETTER = 0.62  # width of a letter relative to the font size


@section(
    order=40, anchor="density", title="Score by length and density", figures=["accuracy-density"]
)
def score_by_density(report: Report) -> list[Block]:
    """Heat maps for methods with several densities, and the links of SSMLoRA."""
    blocks: list[Block] = []
    for group in report.training:
        maps = density_panels(group)
        if not maps or not (group.points or not any(r.ok for r in group.results)):
            continue
        cells = [c for part in maps.values() for c in part]
        series = {arm: p for arm, p in group.points.items() if arm in arms(cells)}
        what, note = group.metric.named("Test"), group.notes
        caption = joined(
            f"{what} by length and density (share of candidate modules with an adapter). Hatched: "
            f"not run. Grey with a cross: failed.",
            "" if group.metric.higher_is_better else "Lighter is better.",
            note,
            by=" ",
        )
        alt = joined(values_alt(series, cells, f"{what} by length in tokens."), note, by=" ")
        blocks.append(picture("accuracy-density", group, accuracy_by_density(group), caption, alt))
    return blocks


def density_panels(group: Group) -> dict[str, list[Result]]:
    """Training cells of each method (and variant) with several densities, by a label for both."""
    found: dict[tuple[object, ...], list[Result]] = {}
    for r in group.trained:
        if r["density"] is not None:
            columns = ("method", "placement", "rank", "options", "levers", "arm_suffix")
            variant = tuple(r.get(column) for column in columns)
            found.setdefault(variant, []).append(r)
    several = [cells for cells in found.values() if len({c["density"] for c in cells}) > 1]
    return {_without_density(cells[0]): cells for cells in several}


def _without_density(cell: Result) -> str:
    """The label of an arm without its density."""
    return str(cell["arm"]).replace(f" {density_label(float(cell['density']))}", "", 1)


@styled
def accuracy_by_density(group: Group) -> Figure:
    """Heat maps of the score, one panel for each method; all panels share one colour scale."""
    maps, every, metric = density_panels(group), group.points, group.metric
    points = {
        name: {arm: every[arm] for arm in arms(cells) if arm in every}
        for name, cells in maps.items()
    }
    values = [p.value for series in points.values() for arm in series.values() for p in arm]
    low, high = min(values, default=0.0), max(values, default=1.0)
    scale = Normalize(low, high) if low < high else Normalize(low - 0.01, high + 0.01)
    colours = "cividis" if metric.higher_is_better else "cividis_r"  # better is lighter
    densities = sorted({float(c["density"]) for p in maps.values() for c in p}, reverse=True)
    columns = min(2, max(1, len(maps)))
    rows = -(-max(1, len(maps)) // columns)
    width = PAGE if columns > 1 else COLUMN * 1.2
    figure = new_figure(width, (0.75 + 0.36 * len(densities)) * rows + 0.1)
    flat = [axes for row in figure.subplots(rows, columns, squeeze=False) for axes in row]
    for place, (axes, (name, cells)) in enumerate(zip(flat, maps.items(), strict=False)):
        _heat_map(axes, cells, points[name], ScalarMappable(scale, colours), densities, group)
        axes.set_title(wrapped(name, 44))
        if place % columns == 0:
            axes.set_ylabel("Density (share of sites)")
    for axes in flat[len(maps) :]:
        axes.set_visible(False)
    if values:
        bar = figure.colorbar(ScalarMappable(scale, colours), ax=flat, aspect=12 * rows, pad=0.02)
        bar.set_label(metric.named("Test", "\n"))
        bar.outline.set_visible(False)
    return figure


def _heat_map(
    axes: Axes,
    cells: list[Result],
    series: Series,
    scale: ScalarMappable,
    densities: Sequence[float],
    group: Group,
) -> None:
    lengths = sorted({int(c["length"]) for c in cells})
    room = 0.85 * _WIDTH / max(1, len(lengths))  # for a text in a cell, in points
    narrow = room < 5 * _LETTER * 6.5
    size = min(6.5, room / (4 * _LETTER))
    for row, density in enumerate(densities):
        own = [c for c in cells if c["density"] == density]
        points = [p for arm in {str(c["arm"]) for c in own} for p in series.get(arm, [])]
        found = {p.length: p for p in points}
        for column, length in enumerate(lengths if own else []):
            failed = Counter(str(c["status"]) for c in own if c["length"] == length and not c.ok)
            hatch = None
            if point := found.get(length):
                red, green, blue, _ = scale.to_rgba(np.asarray([point.value]))[0]
                colour = (float(red), float(green), float(blue), 1.0)
                note = point.note or listed([f"{n} {status}" for status, n in failed.items()])
                text = f"{point.value:.3f}".removeprefix("0" if narrow else "")
                text += f"\n({note})" if note else ""
                ink = ink_on(colour)
            else:
                colour = (0.925, 0.925, 0.925, 1.0)
                run = any(c.ok and c["length"] == length for c in own)  # no common seed
                text = "not\ncompared" if run else ""
                text = f"×{chr(10) if narrow else ' '}{'/'.join(failed)}" if failed else text
                ink, hatch = "#a00000", None if failed or run else "////"
            longest = max((len(line) for line in text.split("\n")), default=0)
            axes.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, facecolor=colour, hatch=hatch,
                    edgecolor="white", linewidth=1.0,
                )
            )  # fmt: skip
            kind = "failure" if failed else "value"
            axes.text(
                column, row, text, ha="center", va="center", color=ink,
                fontsize=min(size, 1.15 * room / (_LETTER * max(1, longest))),
                gid=f"{kind}:{density}:{length}",
            )  # fmt: skip
    _heat_axes(axes, cells, lengths, densities, group)


def _heat_axes(
    axes: Axes, cells: list[Result], lengths: list[int], densities: Sequence[float], group: Group
) -> None:
    axes.set_xlim(-0.5, len(lengths) - 0.5)
    axes.set_ylim(len(densities) - 0.5, -0.5)
    ticks = [with_reach(n, group.reach).replace(" (", "\n(") for n in lengths]
    axes.set_xticks(range(len(lengths)), ticks)
    links = {
        float(c["density"]): int(c["links"])
        for c in cells
        if c["links"] is not None and c["method"] == SSMLORA
    }
    here = [d for d in densities if d in {float(c["density"]) for c in cells}]
    names = [density_label(d) + (f"\nlinks: {links[d]}" if d in links else "") for d in here]
    axes.set_yticks([list(densities).index(d) for d in here], names)
    axes.set_xlabel("Length (tokens)")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


@section(order=75, anchor="links", title="State connections (links)")
def links(report: Report) -> list[Block]:
    """Sites and links of each arm of SSMLoRA."""
    cells = [
        r for run in report.runs for r in run.results if r["method"] == SSMLORA and r["in_sweep"]
    ]
    rows: list[list[Entry]] = []
    for backbone in dict.fromkeys(str(r["backbone"] or "") for r in cells):
        for arm in arms(cells):
            own = [r for r in cells if r["arm"] == arm and str(r["backbone"] or "") == backbone]
            if own:
                sites, links = (
                    sorted({int(r[name]) for r in own if r[name] is not None})
                    for name in ("sites", "links")
                )
                evidence = "" if not links else "none" if links[-1] < 2 else "yes"
                texts = [listed([str(n) for n in found]) for found in (sites, links)]
                rows.append([arm, backbone, *texts, evidence])
    head = ["Arm", "Backbone", "Sites", "Links", "Evidence about state passing"]
    caption = (
        "SSMLoRA: sites (modules with an adapter) and links (sites that receive the state of "
        "another site). With fewer than 2 links there is no evidence about state passing"
    )
    return [Table(caption, head, rows, frozenset({"Sites", "Links"}))] if rows else []


@section(
    order=50, anchor="parameters", title="Score by trainable parameters",
    figures=["accuracy-parameters"],
)  # fmt: skip
def score_by_parameters(report: Report) -> list[Block]:
    """Test score by the number of trainable parameters."""
    return [_size_picture(group) for group in report.training if group.points]


def _size_picture(group: Group) -> Block:
    totals = sorted({int(r["total_params"]) for r in group.results if r["total_params"]})
    what, note = group.metric.named("Test"), group.notes
    total = span([parameters(n) for n in totals])
    caption = joined(
        f"{what} by trainable parameters{'' if group.metric.by_text else ', head included'}.",
        f"Parameters of the whole model: {total}." if total else "",
        interval_caption(group),
        baseline_caption(group),
        "Markers of arms with nearly equal sizes are drawn side by side.",
        "Crosses: failed cells." if failures(group.results) else "",
        note,
        by=" ",
    )
    sizes = ", ".join(f"{arm} {parameters(n)}" for arm, n in trained_sizes(group.results).items())
    alt = values_alt(group.points, group.results, f"Trainable parameters: {sizes}. {what}.")
    figure = accuracy_by_parameters(group)
    return picture("accuracy-parameters", group, figure, caption, joined(alt, note, by=" "))


@styled
def accuracy_by_parameters(group: Group) -> Figure:
    """Test score by trainable parameters: one panel for each length, one marker for each arm."""
    trained, series = group.trained, group.points
    sizes = trained_sizes(trained)
    styles = {arm: style for arm, style in arm_styles(trained).items() if arm in sizes}
    lengths = sorted({p.length for arm in styles for p in series.get(arm, [])})
    grid = panels(len(lengths), height=1.75)
    where = _side_by_side({arm: sizes[arm] for arm in styles})
    low, high = min(where.values(), default=1.0), max(where.values(), default=1.0)
    room = max(1.6, (high / low) ** 0.12)
    off = far_off(series, trained, group.metric.by_text)
    more: dict[str, Line2D] = {}
    looks = baseline_lines(trained)
    for axes, length in zip(grid.panels, lengths, strict=False):
        axes.set_title(with_reach(length, group.reach, " tokens"))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low / room, high * room)
        for arm, points in series.items():
            for point in (p for p in points if p.length == length):
                method = baseline_of(arm, trained)
                if arm in styles:
                    _marker(axes, where[arm], point, styles[arm])
                elif method and arm not in off:
                    look = {"ls": looks[arm], "color": GREY, "lw": 0.9, "zorder": 1}
                    axes.axhline(point.value, gid=f"arm:{arm}", **look)
                    more[arm] = baseline_handle(arm, method, looks[arm])
    if lengths:
        grid.note_failures([[r for r in trained if r["length"] == n] for n in lengths])
    grid.name("Trainable parameters", group.metric.named("Test", "\n"))
    if not lengths:
        empty_note(grid.panels[0], "no test was measured")
    entries = [marked(style, [p.note for p in series.get(a, [])]) for a, style in styles.items()]
    legend(grid.figure, entries, list(more.values()), lines=False)
    return grid.figure


def trained_sizes(results: Sequence[Result]) -> dict[str, int]:
    """Trainable parameters of each arm."""
    return {
        str(r["arm"]): int(r["trainable_params"])
        for r in results
        if r["trainable_params"] and r["method"] not in BASELINES
    }


def _side_by_side(sizes: dict[str, int]) -> dict[str, float]:
    """Places of markers on the axis: arms of nearly one size are spread around it."""
    places: dict[str, float] = {}
    decades = math.log10(max(sizes.values(), default=1) / min(sizes.values(), default=1))
    step = 10 ** (0.055 * max(decades, 0.3))
    group: list[str] = []
    for arm in sorted(sizes, key=lambda name: sizes[name]):
        if group and sizes[arm] > sizes[group[0]] * step:
            group = []
        group.append(arm)
        middle = math.exp(fmean(math.log(sizes[name]) for name in group))
        for k, name in enumerate(sorted(group, key=list(sizes).index)):
            places[name] = middle * step ** (k - (len(group) - 1) / 2) if len(group) > 1 else middle
    return places


def _marker(axes: Axes, place: float, point: Point, style: ArmStyle) -> None:
    if not point.without_interval:
        axes.errorbar(
            [place], [point.value], [[point.value - point.low], [point.high - point.value]],
            fmt="none", ecolor=style.colour, elinewidth=0.7, capsize=1.6, alpha=0.8,
        )  # fmt: skip
    looks = {**style.lines, "linestyle": "none"}
    axes.plot([place], [point.value], gid=f"arm:{style.label}", **looks)


def _short(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g} {letter}"
    return f"{value:g}"
