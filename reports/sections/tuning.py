"""Learning rates, and validation scores during training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from reports.axes import details_of, grid, legend, marked, with_failures
from reports.blocks import (
    Block,
    Entry,
    Table,
    joined,
    lr_text,
    score_text,
    section,
    wrapped,
)
from reports.figures.describe import Axis, Chart, Curve, Key, Look, Panel, around
from reports.frame import Result
from reports.groups import Group, with_reach
from reports.page import Report
from reports.seeds import arms, by_arm_and_length, comparable_cells, failures, places
from reports.stats import LearningRateTrial, at_edge, best_trial, trials
from reports.style import ArmStyle, arm_styles, picture

_HEAD = (
    "Arm", "Rates", "Cells", "Learning rates", "Best", "Validation score", "Best at the edge",
    "Failed",
)  # fmt: skip
_NUMERIC = frozenset({"Rates", "Cells", "Best", "Validation score", "Failed"})


@section(order=60, anchor="rates", title="Learning rates", figures=["learning-rates"])
def learning_rates(report: Report) -> list[Block]:
    """The learning rates of each arm, if any arm has several."""
    blocks: list[Block] = []
    for group in report.training:
        found = trials(group.results)
        counts = {len(rates) for rates in found.values()}
        if max(counts, default=0) < 2:
            continue
        what = group.metric.named("Validation")
        caption = (
            f"{what} by learning rate. Small dots: cells; line: mean of the cells that finished; "
            f"ring: the rate with the lowest mean validation loss (a rate with a failed cell is "
            f"not chosen)."
        )
        alt = "; ".join(
            f"{arm}: " + ", ".join(f"{t.lr:g} gives {score_text(t.score)}" for t in rates)
            for arm, rates in found.items()
        )
        left_out = sum(one.left_out for rates in found.values() for one in rates)
        title = joined(
            "Learning rates by arm",
            "Unequal numbers of rates: arms are not comparable" if len(counts) > 1 else "",
            f"The study is incomplete: {left_out} cells lack a counterpart (same length and seed) "
            f"at another rate and are left out" if left_out else "",
            by=". ",
        )  # fmt: skip
        rows = [_row(arm, found[arm]) for arm in arms(group.results) if arm in found]
        blocks += [
            picture("learning-rates", group, rates_figure(group), caption, alt),
            Table(group.about(title), _HEAD, rows, _NUMERIC),
        ]
    return blocks


def _row(arm: str, rates: Sequence[LearningRateTrial]) -> list[Entry]:
    best = best_trial(rates)
    failed = sum(len(t.failures) for t in rates)
    return [
        arm,
        str(len(rates)),
        str(sum(len(t.values) for t in rates) + failed),
        ", ".join(lr_text(t.lr) for t in rates),
        lr_text(best.lr),
        score_text(best.score),
        "yes: a better rate may be outside" if at_edge(rates) else "no",
        str(failed),
    ]


_RING = Look("#000000", "o", clear=True, size=9, edge=1.0)
_DOT = Look("#000000", ".", size=2.5, edge=1.0)


def rates_figure(group: Group) -> Chart:
    """Validation score by learning rate, one panel for each arm; the chosen rate has a ring."""
    styles, found = arm_styles(group.results), trials(group.results)
    shown = [arm for arm in styles if found.get(arm)]
    titles = [wrapped(arm, 26) for arm in shown]
    lines = max((title.count("\n") for title in titles), default=0)
    every = [v for arm in shown for t in found[arm] for v in t.values]
    failed = any(t.failures for rates in found.values() for t in rates)
    # Room for the ring above, and for crosses below the lowest value.
    limits = around(every, 0.27 if failed else 0.12, 0.18)
    panels = [
        Panel(
            _rate_axis([t.lr for t in found[arm]]),
            Axis(limits=limits),
            title,
            tuple(_trial_curves(arm, found[arm], styles[arm], limits)),
        )
        for arm, title in zip(shown, titles, strict=True)
    ]
    several = any(len(t.values) > 1 for rates in found.values() for t in rates)
    keys = [Key("best", "lowest mean validation loss", replace(_RING, size=7))]
    keys += [Key("cells", "one cell", _DOT)] if several else []
    label = group.metric.named("Validation", "\n")
    height = 1.45 + 0.12 * lines
    return grid(panels or [Panel()], height, "Learning rate", label, tuple(keys), shared=False)


def _rate_axis(rates: Sequence[float]) -> Axis:
    """A logarithmic axis with a tick for each rate."""
    ticks = tuple((lr, lr_text(lr)) for lr in rates)
    return Axis(scale="log", limits=(min(rates) / 1.6, max(rates) * 1.6), ticks=ticks, slanted=True)


def _trial_curves(
    arm: str, rates: Sequence[LearningRateTrial], style: ArmStyle, limits: tuple[float, float]
) -> list[Curve]:
    means = [(t.lr, fmean(t.values)) for t in rates if t.values]
    labels = tuple(f"{arm}\nlearning rate {lr_text(lr)}\n{score_text(v)}" for lr, v in means)
    lr, values = zip(*means, strict=True) if means else ((), ())
    curves = [Curve(arm, style, lr, values, labels=labels)]
    cells = [(t.lr * 1.12, v) for t in rates for v in (t.values if len(t.values) > 1 else ())]
    if cells:
        beside, values = zip(*cells, strict=True)
        texts = tuple(f"{arm}: one cell\n{score_text(value)}" for value in values)
        look = replace(_DOT, colour=style.colour)
        curves.append(Curve(arm, look, beside, values, labels=texts, kind="cells"))
    low = limits[0] + 0.05 * (limits[1] - limits[0])
    for one in rates:
        if one.failures:
            text = "/".join(dict.fromkeys(one.failures))
            look = Look(style.colour, "x", size=4.5, edge=1.3)
            curves.append(
                Curve(
                    arm, look, (one.lr,), (low,), labels=(f"{arm}: {text}",), kind="failure",
                    texts=(text,), left=True, mark=f"failure:{arm}:{one.lr}",
                )
            )  # fmt: skip
    best = best_trial(rates)
    if best.values:
        label = f"{arm}\nlowest mean validation loss\nlearning rate {lr_text(best.lr)}"
        place = ((best.lr,), (fmean(best.values),))
        curves.append(Curve(arm, _RING, *place, labels=(label,), kind="best"))
    return curves


@section(
    order=61, anchor="curves", title="Validation during training", figures=["validation-curves"]
)
def curves(report: Report) -> list[Block]:
    """Validation scores during training."""
    return [
        _curve_picture(group)
        for group in report.training
        if any(len(curve_of(r)) > 1 for r in group.results)
    ]


def _curve_picture(group: Group) -> Block:
    cells, note = group.trained, group.notes
    chosen = len(group.cells) < len(group.results)
    caption = joined(
        f"{group.metric.named('Validation')} during training. Validation texts are "
        f"neither training nor test texts; test texts are evaluated once, at the end.",
        "Lines: means over common seeds." if len({r["seed"] for r in cells}) > 1 else "",
        "Learning rates: the lowest validation loss." if chosen else "",
        "Crosses: arms that failed at this length." if failures(cells) else "",
        note,
        by=" ",
    )
    notes, means = curve_notes(cells), mean_curves(cells)
    last = [
        f"{arm} at {n} tokens {score_text(curve[-1][1])}"
        + (f" ({notes[arm, n]})" if notes[arm, n] else "")
        for arm in arms(cells)
        for n in sorted({int(r["length"]) for r in cells})
        if (curve := means.get((arm, n)))
    ]
    alt = f"Last validation {group.metric.label}: {'; '.join(last)}."
    return picture("validation-curves", group, curves_figure(group), caption, alt)


def curves_figure(group: Group) -> Chart:
    """Validation score during training: one panel for each length, one line for each arm."""
    cells = group.trained
    styles, details = arm_styles(cells), details_of(cells)
    lengths = sorted({int(r["length"]) for r in cells if curve_of(r)})
    drawn: dict[str, list[str]] = {}
    missing, means = curve_notes(cells), mean_curves(cells)
    found: dict[int, list[Curve]] = {length: [] for length in lengths}
    for length in lengths:
        for arm, style in styles.items():
            if curve := means.get((arm, length)):
                drawn.setdefault(arm, []).append(missing[arm, length])
                x, y = zip(*curve, strict=True)
                labels = tuple(
                    f"{arm}\n{length} tokens\n{score_text(v)} after {n:,.0f} examples\n"
                    + details(arm, length)
                    for n, v in curve
                )
                found[length].append(Curve(arm, style, x, y, labels=labels))
    every = [curve for own in found.values() for curve in own]
    x_axis = Axis(limits=around(n for curve in every for n in curve.x), numbers=",.6g")
    y_axis = Axis(limits=around(v for curve in every for v in curve.y))
    panels = [
        Panel(x_axis, y_axis, with_reach(length, group.reach, " tokens"), tuple(own))
        for length, own in found.items()
    ]
    panels = with_failures(panels, [[r for r in cells if r["length"] == n] for n in lengths])
    keys = legend([marked(styles[arm], drawn[arm]) for arm in styles if arm in drawn])
    label = group.metric.named("Validation", "\n")
    return grid(panels or [Panel()], 1.6, "Training examples", label, keys)


def _has_curve(result: Result) -> bool:
    return result.ok and bool(curve_of(result))


_Points = list[tuple[float, float]]


def mean_curves(cells: Sequence[Result]) -> dict[tuple[str, int], _Points]:
    """(examples, validation score) by arm and length: means over comparable cells.

    If no cell of an arm finished, its cells with a part of a curve are used. A point is the mean of
    all cells or is left out; so is a curve without points.
    """
    means = {}
    for length in sorted({int(r["length"]) for r in cells}):
        here = [r for r in cells if r["length"] == length]
        parts = by_arm_and_length(r for r in here if curve_of(r))
        finished = by_arm_and_length(comparable_cells(here, _has_curve))
        for arm, at in parts.items():
            own = finished.get(arm, {}) if any(r.ok for r in at[length]) else at
            means[arm, length] = _mean_curve([curve_of(r) for r in own.get(length, [])])
    return {place: points for place, points in means.items() if points}


def _mean_curve(curves: Sequence[_Points]) -> _Points:
    found: dict[float, list[float]] = {}
    for examples, score in (point for curve in curves for point in curve):
        found.setdefault(examples, []).append(score)
    return [(n, fmean(found[n])) for n in sorted(found) if len(found[n]) == len(curves)]


def curve_notes(cells: Sequence[Result]) -> dict[tuple[str, int], str]:
    """By arm and length: how many of the planned seeds have a curve, if some have none."""
    found = places(cells, _has_curve)
    return {(arm, n): place.note for arm, at in found.items() for n, place in at.items()}


def curve_of(result: Result) -> list[tuple[float, float]]:
    """(examples, validation score) where both are known."""
    points = [(p.get("examples"), p.get("validation_score")) for p in result["curve"]]
    return [(x, y) for x, y in points if x is not None and y is not None]
