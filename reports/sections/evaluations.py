"""Tasks of lm-eval and unrelated text, read by trained models and by the zero-shot backbone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from harness.core.result import Evaluation
from reports.axes import details_of, legend, marked, over_length, series_curves
from reports.blocks import (
    Block,
    Entry,
    Table,
    Text,
    capital,
    joined,
    listed,
    section,
    shortened,
    slug,
)
from reports.figures.describe import Axis, Chart, Panel, around, ends, log_ticks
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.sections.accuracy import values_alt
from reports.seeds import arms, common_by_length, failures, places
from reports.stats import Point, Series
from reports.style import COLUMN, PAGE, arm_styles, picture

_Z = 1.959964
_HEAD = ("Task", "Metric", "Arm", "Length", "Value", "Examples", "Status", "Message", "Seed")
_NUMERIC = frozenset({"Length", "Value", "Examples", "Seed"})
_MOST = 40
"""The most figures of a group: there are suites of hundreds of tasks."""

_Place = tuple[str, str, str, int]
"""Task, metric, arm, length."""


@dataclass(frozen=True)
class Found:
    """The evaluations of one place, over the seeds that all arms have there.

    `failures`: statuses of evaluations without a value. `note`: missing seeds.
    """

    values: tuple[Evaluation, ...]
    failures: tuple[str, ...]
    note: str = ""
    diverged: bool = False

    @property
    def text(self) -> str:
        """The mean value with its standard error; empty if there is none."""
        if not self.values:
            return ""
        return value_text(fmean(e.value or 0.0 for e in self.values), self.stderr)

    @property
    def stderr(self) -> float | None:
        """The mean of the standard errors: all seeds are evaluated on the same examples."""
        known = [e.stderr for e in self.values if e.stderr is not None]
        return fmean(known) if known else None


@section(order=55, anchor="lm-eval", title="lm-eval", figures=["lm-eval"])
def lm_eval(report: Report) -> list[Block]:
    """Every value in a table, and a figure for each task with two lengths or more."""
    blocks: list[Block] = []
    names: set[str] = set()
    for group in report.evaluations:
        blocks += _figures(group, names)
        blocks.append(_table(group))
    if not blocks:
        return []
    versions = {
        e.version for g in report.evaluations for r in g.results for e in r["evaluations"]
    } - {""}
    text = "Tasks of the Language Model Evaluation Harness. ±: one standard error of lm-eval."
    return [
        Text(joined(text, f"Versions: {listed(sorted(versions))}." if versions else "", by=" ")),
        *blocks,
    ]


def value_text(value: float, stderr: float | None = None) -> str:
    """A value of lm-eval: `0.520 ± 0.050`, `1.25e+03`."""

    def one(number: float) -> str:
        return f"{number:.3f}" if abs(number) < 1000 else f"{number:.3g}"

    return one(value) + ("" if stderr is None else f" ± {one(stderr)}")


def evaluated(group: Group) -> list[tuple[Result, Evaluation]]:
    """Every evaluation with its cell, of the best learning rate of each arm."""
    return [(r, one) for r in group.cells for one in r["evaluations"]]


def evaluation_points(group: Group) -> dict[_Place, Found]:
    """The evaluations of each place."""
    found: dict[_Place, Found] = {}
    pairs = evaluated(group)
    whole = [r for r in group.cells if not r["evaluations"] and not r.ok]
    for task, metric in dict.fromkeys((one.task, one.metric) for _, one in pairs):
        these = [(r, e) for r, e in pairs if (e.task, e.metric) == (task, metric)]
        own = [r.changed(evaluations=(e,)) for r, e in these]
        every = places([*own, *whole], _valued)
        seeds = common_by_length(every)
        for arm, length in dict.fromkeys((str(r["arm"]), int(r["length"])) for r in own):
            place = every[arm][length]
            cells = place.cells(seeds[length]) if place.comparable(seeds[length]) else []
            here = [e for r, e in these if (r["arm"], r["length"]) == (arm, length)]
            failed = Counter(one.status for one in here if one.value is None)
            found[task, metric, arm, length] = Found(
                tuple(one for r in cells for one in r["evaluations"]),
                tuple(s + (f" ×{n}" if n > 1 else "") for s, n in failed.items()),
                place.note,
                bool(place.diverged),
            )
    return found


def _valued(result: Result) -> bool:
    return bool(result["evaluations"]) and result["evaluations"][0].value is not None


def task_series(points: dict[_Place, Found], task: str, metric: str) -> Series:
    """Values of one task by arm and length, with 95 % intervals from the standard errors."""
    series: Series = {}
    known = [e for place, f in points.items() if place[:2] == (task, metric) for e in f.values]
    shares = all(e.higher_is_better and 0 <= (e.value or 0.0) <= 1 for e in known)
    least, most = (0.0, 1.0) if shares else (-math.inf, math.inf)
    for (name, what, arm, length), found in points.items():
        if (name, what) == (task, metric) and found.values:
            values = tuple(e.value or 0.0 for e in found.values)
            mean, half = fmean(values), _Z * (found.stderr or 0.0)
            half = 0.0 if found.diverged else half  # not a random sample of seeds
            low, high = max(least, mean - half), min(most, mean + half)
            point = Point(length, mean, low, high, values, note=found.note)
            series.setdefault(arm, []).append(point)
    return {arm: sorted(points, key=lambda p: p.length) for arm, points in series.items()}


def as_cells(group: Group, task: str) -> list[Result]:
    """One result for each evaluation of a task, with its status, and cells that failed."""
    cells = [r for r in group.cells if not r.ok and not r["evaluations"]]
    return cells + [r.changed(status=e.status) for r, e in evaluated(group) if e.task == task]


def _figures(group: Group, names: set[str]) -> list[Block]:
    """A figure for each task with two lengths or more; `names` are used file names."""
    points = evaluation_points(group)
    blocks: list[Block] = []
    for task in dict.fromkeys(place[0] for place in points):
        if len({length for name, _, _, length in points if name == task}) < 2:
            continue
        if len(blocks) == _MOST:
            return [
                *blocks,
                Text(f"Figures of the first {_MOST} tasks; the table has all.", "note"),
            ]
        name = slug(task)
        while name + group.suffix in names:  # two names may differ in punctuation only
            name += "-x"
        names.add(name + group.suffix)
        cells = as_cells(group, task)
        lower = any(not e.higher_is_better for _, e in evaluated(group) if e.task == task)
        caption = joined(
            f"{task} (lm-eval) by length. Bars: 95 % intervals, 1.96 standard errors.",
            "Lower is better." if lower else "",
            "Crosses below the axis: failed evaluations." if failures(cells) else "",
            by=" ",
        )
        metrics = dict.fromkeys(what for key, what, _, _ in points if key == task)
        series = {
            f"{metric}, {arm}": found
            for metric in metrics
            for arm, found in task_series(points, task, metric).items()
        }
        alt = values_alt(series, cells, f"{task} by length in tokens.", value_text)
        chart = evaluation_figure(group, task)
        blocks.append(picture(f"lm-eval-{name}", group, chart, caption, alt))
    return blocks


def evaluation_figure(group: Group, task: str) -> Chart:
    """Value of one task by length, one panel for each metric; failures are marked below."""
    cells, points = as_cells(group, task), evaluation_points(group)
    metrics = list(dict.fromkeys(what for name, what, _, _ in points if name == task))[:3]
    styles = arm_styles(cells)
    shown: dict[str, list[str]] = {}
    panels = []
    for metric in metrics:
        series = task_series(points, task, metric)
        for arm, found in series.items():
            shown.setdefault(arm, []).extend(point.note for point in found)
        curves = series_curves(series, styles, text=value_text, details=details_of(cells))
        panels.append(
            Panel(
                y=_value_axis(shortened(capital(metric), 40), series, ends(curves)),
                curves=tuple(curves),
                empty="" if series else "no value was measured",
            )
        )
    width = PAGE if len(metrics) > 1 else COLUMN * 1.25
    canvas = over_length(panels or [Panel()], cells, styles, width, 2.3)
    keys = legend([marked(styles[arm], shown[arm]) for arm in styles if arm in shown])
    return replace(canvas, legend=keys)


def _value_axis(label: str, series: Series, every: Sequence[float]) -> Axis:
    """From 0 for positive values; logarithmic if the means differ by a factor of 20."""
    means = [p.value for found in series.values() for p in found]
    if means and min(means) > 1 and math.isfinite(max(means)) and max(means) > 20 * min(means):
        positive = [value for value in every if value > 0]
        limits = (min(positive) / 1.25, max(positive) * 1.25)
        return Axis(label, "log", limits, log_ticks(limits, lambda v: f"{v:,.4g}"))
    if means and min(means) >= 0:
        top = max(every)
        return Axis(label, limits=(min(0.0, *every) - 0.03 * top, 1.06 * top if top > 0 else 1.0))
    return Axis(label, limits=around(every))


def _table(group: Group) -> Table:
    rows: list[list[Entry]] = []
    for task in dict.fromkeys(one.task for _, one in evaluated(group)):
        for r, one in evaluated(group):
            if one.task == task:
                value = "" if one.value is None else value_text(one.value, one.stderr)
                count = "" if one.examples is None else f"{one.examples:,}"
                message = shortened(one.message, 160) if one.status != "ok" else ""
                rows.append(
                    [one.task, one.metric, str(r["arm"]), str(r["length"]), value, count,
                     one.status, message, str(r["seed"])]
                )  # fmt: skip
    for r in failures([r for r in group.cells if not r["evaluations"]]):
        message = shortened(str(r["error"] or ""), 160)
        rows.append(
            ["all", "", str(r["arm"]), str(r["length"]), "", "", str(r["status"]), message,
             str(r["seed"])]
        )  # fmt: skip
    return Table(group.about("All evaluations"), _HEAD, rows, _NUMERIC)


def evaluation_table(group: Group) -> tuple[str, str, list[str], list[list[str]]]:
    """Title, caption, head and rows of a table by length, for a run without training."""
    lengths = sorted({int(r["length"]) for r in group.results})
    points = evaluation_points(group)
    rows = []
    for task, metric, arm in dict.fromkeys(key[:3] for key in points):
        here = [points.get((task, metric, arm, n)) for n in lengths]
        values = [joined(f.text, listed(f.failures), f.note) if f else "" for f in here]
        rows.append([arm, task, metric, *values])
    for arm in arms(group.results):
        own = failures([r for r in group.results if r["arm"] == arm])
        if own:
            statuses = [
                listed([str(r["status"]) for r in own if r["length"] == n]) for n in lengths
            ]
            rows.append([arm, "", "", *statuses])
    names = listed(list(dict.fromkeys(str(r["backbone"]) for r in group.results if r["backbone"])))
    caption = f"{names or 'No backbone'}: tasks of lm-eval by length (± standard error)"
    return group.title, caption, ["Arm", "Task", "Metric", *(f"{n} tokens" for n in lengths)], rows
