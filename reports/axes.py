"""Parts of figures: axes over length, series, failures, grids of panels, legends."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from harness.core.metrics import Metric
from harness.core.result import FAILURES
from reports.blocks import duration, joined, listed, parameters, score_text, shortened
from reports.figures.describe import INK, Axis, Chart, Curve, Key, Limits, Look, Note, Panel
from reports.frame import Result
from reports.groups import Reach
from reports.seeds import failures
from reports.stats import Point, Series, baseline_of
from reports.style import (
    COLUMN,
    PAGE,
    ArmStyle,
    baseline_key,
    baseline_lines,
    baseline_look,
)

_ROW = 0.13  # inches for each row in the strip of failures

Details = Callable[[str, int], str]
"""What is known about the cells of an arm at a length, for a point that is hovered over."""


def over_length(
    panels: Sequence[Panel],
    results: Sequence[Result],
    styles: dict[str, ArmStyle],
    width: float,
    height: float,
    reach: dict[int, Reach] | None = None,
) -> Chart:
    """Panels over all lengths of `results`; failed cells are marked in a strip below.

    `reach` marks lengths that few test texts reach. The strip has a row for each arm and status, so
    that failures hide no point and can be read without colour.
    """
    failed = _failed_rows(results, styles)
    lengths = sorted({int(r["length"]) for r in results})
    x = length_axis(lengths, reach)
    inner = replace(x, label="", shown=False) if failed else x
    rows = [tuple(replace(panel, x=inner) for panel in panels)]
    if not failed:
        return Chart(tuple(rows), width, height)
    strip = _strip(failed, results, styles)
    first = replace(strip, x=x)
    others = replace(first, y=replace(strip.y, shown=False))
    rows.append((first, *(others for _ in panels[1:])))
    low = _ROW * len(failed) + 0.06
    return Chart(tuple(rows), width, height + low, heights=(height, low))


def length_axis(lengths: Sequence[int], reach: dict[int, Reach] | None = None) -> Axis:
    """A logarithmic axis with a tick for each length, and its mark."""
    marks = {length: f"\n({one.note})" for length, one in (reach or {}).items()}
    wide = any(n in marks for n in lengths) and len(lengths) > 4
    room = 2 ** (1.2 if wide else 0.6)
    crowded = any(b / a < room for a, b in pairwise(lengths))
    ends = (min(lengths, default=1) / 2**0.45, max(lengths, default=2) * 2**0.45)
    return Axis(
        "Length (tokens)",
        "log2",
        ends,
        tuple((float(n), f"{n}{marks.get(n, '')}") for n in lengths),
        slanted=crowded or len(lengths) > 7,
    )


def possible(limits: Limits, metric: Metric) -> Limits:
    """Limits of an axis of scores without values that the metric cannot have."""
    low = -math.inf if metric.low is None else metric.low - 0.02
    high = math.inf if metric.high is None else metric.high + 0.02
    return max(low, limits[0]), min(high, limits[1])


def dodge(index: int, count: int, room: float = 1.0) -> float:
    """A factor on the length that separates the points of different arms.

    `room`: the distance to the nearest other length, as a power of 2.
    """
    step = min(0.085, 0.55 * room / max(1, count))
    return float(2 ** (step * (index - (count - 1) / 2)))


def series_curves(
    series: Series,
    styles: dict[str, ArmStyle],
    unit: float = 1.0,
    intervals: bool = True,
    dots: bool = False,
    spread: float = 1.0,
    text: Callable[[float], str] = score_text,
    details: Details | None = None,
) -> list[Curve]:
    """One curve for each arm; values are divided by `unit`.

    `dots`: the seeds behind a mean as small points. `spread`: distance between arms; at 1 bars do
    not overlap. `text`: of a value, when its point is hovered over.
    """
    shown = [arm for arm in styles if arm in series]
    lengths = sorted({p.length for arm in shown for p in series[arm]})
    room = min((math.log2(b / a) for a, b in pairwise(lengths)), default=1.0)
    curves = []
    for index, arm in enumerate(shown):
        points, style = series[arm], styles[arm]
        x = tuple(p.length * dodge(index, len(shown), room) ** spread for p in points)
        y, low, high = (
            tuple(getattr(p, name) / unit for p in points) for name in ("value", "low", "high")
        )
        curves.append(
            Curve(
                arm, style, x, y, low if intervals else (), high if intervals else (),
                labels=tuple(point_label(arm, p, text, intervals, details) for p in points),
            )
        )  # fmt: skip
        seeds = [
            (place * 2 ** (0.035 * min(1.0, room)), value / unit)
            for place, p in zip(x, points, strict=True)
            for value in (p.seeds if dots and len(p.seeds) > 1 else ())
        ]
        if seeds:
            look = Look(style.colour, ".", size=1.6, edge=1.0)
            labels = tuple(f"{arm}: one seed\n{text(value * unit)}" for _, value in seeds)
            beside, values = zip(*seeds, strict=True)
            curves.append(Curve(arm, look, beside, values, labels=labels, kind="seeds"))
    return curves


def point_label(
    arm: str,
    point: Point,
    text: Callable[[float], str] = score_text,
    interval: bool = True,
    details: Details | None = None,
    place: str = "",
) -> str:
    """What is shown when the point is hovered over: arm, length, value, interval, cells."""
    ends = f" ({text(point.low)} to {text(point.high)})"
    return joined(
        arm,
        place or f"{point.length} tokens",
        text(point.value) + (ends if interval and not point.without_interval else ""),
        point.note,
        details(arm, point.length) if details else "",
        by="\n",
    )


def details_of(cells: Iterable[Result]) -> Details:
    """Task, backbone, seeds, size and time of the cells of an arm at a length."""
    found: dict[tuple[str, int], list[Result]] = {}
    for r in cells:
        found.setdefault((str(r["arm"]), int(r["length"])), []).append(r)

    def details(arm: str, length: int) -> str:
        own = found.get((arm, length), [])
        names = dict.fromkeys(str(r[c]) for r in own for c in ("task", "backbone") if r[c])
        seeds = sorted({r.seed for r in own})
        sizes = [int(r["trainable_params"]) for r in own if r["trainable_params"] is not None]
        walls = [float(r["wall_s"]) for r in own if r["wall_s"] is not None]
        memory = [float(p) for r in own if (p := r["train_live_peak_bytes"])]
        return joined(
            ", ".join(names),
            f"seed{'s' * (len(seeds) > 1)} {listed([str(s) for s in seeds])}" if seeds else "",
            f"{parameters(sizes[0])} trainable" if sizes else "",
            f"{duration(sum(walls))} in all" if walls else "",
            f"live peak {max(memory) / 2**20:,.0f} MiB" if memory else "",
            by="\n",
        )

    return details


def baseline_curves(
    series: Series, results: Sequence[Result], details: Details | None = None
) -> tuple[list[Curve], list[Key]]:
    """Each baseline over length: a grey line with a band, or a point with a bar; legend entries."""
    curves, keys = [], []
    looks = baseline_lines(results)
    for arm, points in series.items():
        method = baseline_of(arm, results)
        if method is None:
            continue
        x, y, low, high = (
            tuple(float(getattr(p, name)) for p in points)
            for name in ("length", "value", "low", "high")
        )
        look = baseline_look(looks[arm], len(points))
        labels = tuple(point_label(arm, p, details=details) for p in points)
        curves.append(Curve(arm, look, x, y, low, high, labels, band=len(x) > 1))
        keys.append(baseline_key(arm, method, looks[arm]))
    return curves, keys


def marked(style: ArmStyle, notes: Iterable[str]) -> ArmStyle:
    """The style with missing seeds in its legend entry: `Full, 1 of 3 seeds`.

    `notes`: one for each value of the arm in the figure; empty if no seed is missing.
    """
    found = set(notes)
    if not any(found):
        return style
    return replace(style, note=found.pop() if len(found) == 1 else "incomplete")


def legend(styles: Sequence[ArmStyle], more: Sequence[Key] = ()) -> tuple[Key, ...]:
    """Legend entries of arms, then further ones."""
    keys = [
        Key(s.label, shortened(s.label, 44) + (f", {s.note}" if s.note else ""), s)  # never cut
        for s in styles
    ]
    return (*keys, *more)


def _failed_rows(results: Sequence[Result], styles: dict[str, ArmStyle]) -> list[tuple[str, str]]:
    """(arm, status) of every row of the strip."""
    found = {(str(r["arm"]), str(r["status"])) for r in failures(results)}
    return [(arm, status) for arm in styles for status in FAILURES if (arm, status) in found]


def _strip(
    rows: Sequence[tuple[str, str]], results: Sequence[Result], styles: dict[str, ArmStyle]
) -> Panel:
    curves = []
    for row, (arm, status) in enumerate(rows):
        own = [r for r in results if r["arm"] == arm]
        failed = Counter(int(r["length"]) for r in own if r["status"] == status)
        look = Look(styles[arm].colour, "x", size=4, edge=1.3)
        for length, times in failed.items():
            cells = sum(r["length"] == length for r in own)
            count = f"{times} of {cells}" if cells > 1 else ""
            label = joined(f"{arm}: {status}", f"{length} tokens", count, by="\n")
            curves.append(
                Curve(
                    arm, look, (float(length),), (float(row),), labels=(label,), kind="failure",
                    texts=(count,), mark=f"failure:{arm}:{length}:{status}",
                )
            )  # fmt: skip
    names = tuple((k, f"{shortened(arm, 28)}: {status}") for k, (arm, status) in enumerate(rows))
    y = Axis(limits=(len(rows) - 0.4, -0.6), ticks=names, grid=False, small=True)
    return Panel(y=y, curves=tuple(curves), shaded="#f4f4f4")


def grid(
    panels: Sequence[Panel],
    height: float,
    x: str,
    y: str,
    legend: tuple[Key, ...] = (),
    shared: bool = True,
) -> Chart:
    """Panels with the same y axis, up to four in a row; `height` in inches each.

    `x`, `y`: labels of the axes, at the left of each row and below the last panel of each column.
    `shared`: all panels have the same x axis.
    """
    count = max(1, len(panels))
    rows = -(-count // 4)
    columns = -(-count // rows)
    shown = []
    for place, panel in enumerate(panels):
        last, first = place + columns >= count, place % columns == 0
        shown.append(
            replace(
                panel,
                x=replace(panel.x, label=x if last else "", shown=last or not shared),
                y=replace(panel.y, label=y if first else "", shown=first),
            )
        )
    width = PAGE if columns > 2 else COLUMN * 1.2
    split = tuple(tuple(shown[at : at + columns]) for at in range(0, count, columns))
    return Chart(split, width, height * rows + 0.55, legend)


def with_failures(panels: Sequence[Panel], cells: Sequence[Sequence[Result]]) -> list[Panel]:
    """Write the failures of each panel's cells into its lower right corner.

    The y axis is extended downwards, so that the texts cover no data.
    """
    notes = [
        dict.fromkeys((str(r["arm"]), str(r["status"])) for r in failures(own)) for own in cells
    ]
    lines = max((len(found) for found in notes), default=0)
    done = []
    for panel, own, found in zip(panels, cells, notes, strict=True):
        low, high = panel.y.limits
        room = (high - low) * min(0.6, 0.03 + 0.08 * lines) if lines else 0.0
        texts = tuple(
            Note(
                f"× {shortened(arm, 28)}: {status}", colour=INK,
                mark=f"failure:{arm}:{own[0]['length']}:{status}",
            )
            for arm, status in reversed(found)
        )  # fmt: skip
        y = replace(panel.y, limits=(low - room, high))
        done.append(replace(panel, y=y, notes=(*panel.notes, *texts)))
    return done
