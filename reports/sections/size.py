"""Scores by insertion density and by trainable parameters, and the state connections (links)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from harness.core.cell import density_label
from harness.core.methods import BASELINES, SSMLORA
from reports.axes import details_of, grid, legend, marked, point_label, possible, with_failures
from reports.blocks import Block, Entry, Table, joined, listed, parameters, section, span, wrapped
from reports.figures.describe import (
    Axis,
    Chart,
    Colours,
    Curve,
    Key,
    Level,
    Panel,
    State,
    Tile,
    around,
    ends,
    log_ticks,
)
from reports.frame import Result
from reports.groups import Group, with_reach
from reports.page import Report
from reports.sections.accuracy import baseline_caption, far_off, interval_caption, values_alt
from reports.seeds import arms, failures
from reports.stats import Series, baseline_of
from reports.style import (
    COLUMN,
    PAGE,
    arm_styles,
    baseline_key,
    baseline_lines,
    baseline_look,
    picture,
)


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


def accuracy_by_density(group: Group) -> Chart:
    """Heat maps of the score, one panel for each method; all panels share one colour scale."""
    maps, every, metric = density_panels(group), group.points, group.metric
    points = {
        name: {arm: every[arm] for arm in arms(cells) if arm in every}
        for name, cells in maps.items()
    }
    values = [p.value for series in points.values() for arm in series.values() for p in arm]
    low, high = min(values, default=0.0), max(values, default=1.0)
    limits = (low, high) if low < high else (low - 0.01, high + 0.01)
    densities = sorted({float(c["density"]) for p in maps.values() for c in p}, reverse=True)
    columns = min(2, max(1, len(maps)))
    rows = -(-max(1, len(maps)) // columns)
    panels = [
        _heat_map(group, name, cells, points[name], densities) for name, cells in maps.items()
    ] or [Panel()]
    for place, panel in enumerate(panels):
        if place % columns == 0:
            y = replace(panel.y, label="Density (share of sites)")
            panels[place] = replace(panel, y=y)
    return Chart(
        tuple(tuple(panels[at : at + columns]) for at in range(0, len(panels), columns)),
        PAGE if columns > 1 else COLUMN * 1.2,
        (0.75 + 0.36 * len(densities)) * rows + 0.1,
        colours=Colours(limits, metric.named("Test", "\n"), metric.higher_is_better),
    )


def _heat_map(
    group: Group, name: str, cells: list[Result], series: Series, densities: Sequence[float]
) -> Panel:
    lengths = sorted({int(c["length"]) for c in cells})
    details = details_of(cells)
    tiles = []
    for row, density in enumerate(densities):
        own = [c for c in cells if c["density"] == density]
        points = [(a, p) for a in arms(own) for p in series.get(a, [])]
        found = {p.length: (arm, p) for arm, p in points}
        for column, length in enumerate(lengths if own else []):
            failed = Counter(str(c["status"]) for c in own if c["length"] == length and not c.ok)
            mark = f"{'failure' if failed else 'value'}:{density}:{length}"
            if length in found:
                arm, point = found[length]
                note = point.note or listed([f"{n} {status}" for status, n in failed.items()])
                text = f"{point.value:.3f}".removeprefix("0" if len(lengths) > 6 else "")
                text += f"\n({note})" if note else ""
                label = point_label(arm, point, details=details)
                tiles.append(Tile(row, column, point.value, text, "value", mark, label))
                continue
            run = any(c.ok and c["length"] == length for c in own)  # no common seed
            cross = "×\n" if len(lengths) > 6 else "× "
            text = f"{cross}{'/'.join(failed)}" if failed else "not\ncompared" if run else ""
            label = f"{own[0]['arm']}\n{length} tokens\n{text or 'not run'}"
            state: State = "failed" if failed else "other" if run else "missing"
            tiles.append(Tile(row, column, None, text, state, mark, label))
    axes = _heat_axes(group, cells, lengths, densities)
    return replace(axes, title=wrapped(name, 44), tiles=tuple(tiles))


def _heat_axes(
    group: Group, cells: list[Result], lengths: list[int], densities: Sequence[float]
) -> Panel:
    ticks = [with_reach(n, group.reach).replace(" (", "\n(") for n in lengths]
    links = {
        float(c["density"]): int(c["links"])
        for c in cells
        if c["links"] is not None and c["method"] == SSMLORA
    }
    here = [d for d in densities if d in {float(c["density"]) for c in cells}]
    names = [density_label(d) + (f"\nlinks: {links[d]}" if d in links else "") for d in here]
    places = [float(list(densities).index(d)) for d in here]
    x = Axis(
        "Length (tokens)", limits=(-0.5, len(lengths) - 0.5),
        ticks=tuple((float(k), tick) for k, tick in enumerate(ticks)), grid=False,
    )  # fmt: skip
    y = Axis(
        limits=(len(densities) - 0.5, -0.5), ticks=tuple(zip(places, names, strict=True)),
        grid=False,
    )  # fmt: skip
    return Panel(x, y)


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
    chart = accuracy_by_parameters(group)
    return picture("accuracy-parameters", group, chart, caption, joined(alt, note, by=" "))


def accuracy_by_parameters(group: Group) -> Chart:
    """Test score by trainable parameters: one panel for each length, one marker for each arm."""
    trained, series = group.trained, group.points
    sizes, details = trained_sizes(trained), details_of(trained)
    styles = {arm: style for arm, style in arm_styles(trained).items() if arm in sizes}
    lengths = sorted({p.length for arm in styles for p in series.get(arm, [])})
    where = _side_by_side({arm: sizes[arm] for arm in styles})
    low, high = min(where.values(), default=1.0), max(where.values(), default=1.0)
    room = max(1.6, (high / low) ** 0.12)
    off = far_off(series, trained, group.metric.by_text)
    more: dict[str, Key] = {}
    looks = baseline_lines(trained)
    limits = (low / room, high * room)
    x = Axis(scale="log", limits=limits, ticks=log_ticks(limits, _short, (1,)))
    panels = []
    for length in lengths:
        curves: list[Curve] = []
        levels: list[Level] = []
        for arm, points in series.items():
            for point in (p for p in points if p.length == length):
                method = baseline_of(arm, trained)
                if arm in styles:
                    look = replace(styles[arm], line="")
                    bar = not point.without_interval
                    curves.append(
                        Curve(
                            arm,
                            look,
                            (where[arm],),
                            (point.value,),
                            (point.low,) if bar else (),
                            (point.high,) if bar else (),
                            (point_label(arm, point, details=details),),
                        )
                    )
                elif method and arm not in off:
                    look_of = replace(baseline_look(looks[arm]), width=0.9)
                    levels.append(Level(point.value, look_of, arm, f"arm:{arm}"))
                    more[arm] = baseline_key(arm, method, looks[arm])
        title = with_reach(length, group.reach, " tokens")
        panels.append(Panel(x, title=title, curves=tuple(curves), levels=tuple(levels)))
    every = [value for panel in panels for value in ends(panel.curves)]
    every += [one.value for panel in panels for one in panel.levels]
    y = Axis(limits=possible(around(every), group.metric))
    panels = [replace(panel, y=y) for panel in panels]
    panels = with_failures(panels, [[r for r in trained if r["length"] == n] for n in lengths])
    entries = [marked(style, [p.note for p in series.get(a, [])]) for a, style in styles.items()]
    keys = legend(entries, list(more.values()))
    nothing = [Panel(x, empty="no test was measured")]
    label = group.metric.named("Test", "\n")
    chart = grid(panels or nothing, 1.75, "Trainable parameters", label, keys)
    return replace(chart, lines=False)


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


def _short(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g} {letter}"
    return f"{value:g}"
