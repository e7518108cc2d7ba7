"""Learning rates, and validation scores during training."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.axes import legend, marked, panels
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
from reports.frame import Result
from reports.groups import Group, with_reach
from reports.page import Report
from reports.stats import (
    LearningRateTrial,
    arms,
    at_edge,
    best_trial,
    comparable_cells,
    failures,
    places,
    trials,
)
from reports.style import ArmStyle, arm_styles, picture, styled

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


@styled
def rates_figure(group: Group) -> Figure:
    """Validation score by learning rate, one panel for each arm; the chosen rate has a ring."""
    styles, found = arm_styles(group.results), trials(group.results)
    shown = [arm for arm in styles if found.get(arm)]
    titles = [wrapped(arm, 26) for arm in shown]
    lines = max((title.count("\n") for title in titles), default=0)
    grid = panels(len(shown), height=1.45 + 0.12 * lines, share_x=False)
    for axes, arm, title in zip(grid.panels, shown, titles, strict=False):
        axes.set_title(title)
        _rate_axis(axes, [t.lr for t in found[arm]])
        _draw_trials(axes, arm, found[arm], styles[arm])
    failed = any(t.failures for rates in found.values() for t in rates)
    low, high = grid.panels[0].get_ylim()
    room = high - low  # for the ring above, and for crosses below the lowest value
    grid.panels[0].set_ylim(low - (0.2 if failed else 0.06) * room, high + 0.12 * room)
    grid.name("Learning rate", group.metric.named("Validation", "\n"))
    ring = Line2D([], [], ls="none", marker="o", mfc="none", mec="black", ms=7)
    ring.set_label("lowest mean validation loss")
    dot = Line2D([], [], ls="none", marker=".", color="black", ms=3, label="one cell")
    several = any(len(t.values) > 1 for rates in found.values() for t in rates)
    legend(grid.figure, [], [ring, dot] if several else [ring])
    return grid.figure


def _rate_axis(axes: Axes, rates: Sequence[float]) -> None:
    """A logarithmic axis with a tick for each rate."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(rates)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: lr_text(value)))
    axes.tick_params(axis="x", labelrotation=45)
    axes.set_xlim(min(rates) / 1.6, max(rates) * 1.6)


def _draw_trials(axes: Axes, arm: str, rates: Sequence[LearningRateTrial], style: ArmStyle) -> None:
    valued = [t for t in rates if t.values]
    means = [fmean(t.values) for t in valued]
    axes.plot([t.lr for t in valued], means, gid=f"arm:{arm}", **style.lines)
    for one in rates:
        if len(one.values) > 1:
            dots = [one.lr * 1.12] * len(one.values)
            axes.plot(dots, one.values, ".", color=style.colour, ms=2.5, gid=f"cells:{arm}")
        if one.failures:
            axes.plot(
                [one.lr], [0.05], "x", color=style.colour, ms=4.5, mew=1.3, clip_on=False,
                transform=axes.get_xaxis_transform(), gid=f"failure:{arm}:{one.lr}",
            )  # fmt: skip
            axes.annotate(
                "/".join(dict.fromkeys(one.failures)), (one.lr, 0.05), xytext=(-4, 0),
                xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                ha="right", va="center", fontsize=5.5,
            )  # fmt: skip
    best = best_trial(rates)
    if best.values:
        axes.plot(
            [best.lr], [fmean(best.values)], "o", mfc="none", mec="black", ms=9, gid=f"best:{arm}"
        )


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
    notes = curve_notes(cells)
    last = [
        f"{arm} at {n} tokens {score_text(curve[-1][1])}"
        + (f" ({notes[arm, n]})" if notes[arm, n] else "")
        for arm in arms(cells)
        for n in sorted({int(r["length"]) for r in cells})
        if (curve := mean_curve(cells, arm, n))
    ]
    alt = f"Last validation {group.metric.label}: {'; '.join(last)}."
    return picture("validation-curves", group, curves_figure(group), caption, alt)


@styled
def curves_figure(group: Group) -> Figure:
    """Validation score during training: one panel for each length, one line for each arm."""
    cells = group.trained
    styles = arm_styles(cells)
    lengths = sorted({int(r["length"]) for r in cells if curve_of(r)})
    grid = panels(len(lengths), height=1.6)
    drawn: dict[str, list[str]] = {}
    missing = curve_notes(cells)
    for axes, length in zip(grid.panels, lengths, strict=False):
        axes.set_title(with_reach(length, group.reach, " tokens"))
        for arm, style in styles.items():
            if curve := mean_curve(cells, arm, length):
                drawn.setdefault(arm, []).append(missing[arm, length])
                axes.plot(*zip(*curve, strict=True), gid=f"arm:{arm}", **style.lines)
    if lengths:
        grid.note_failures([[r for r in cells if r["length"] == n] for n in lengths])
    grid.name("Training examples", group.metric.named("Validation", "\n"))
    legend(grid.figure, [marked(styles[arm], drawn[arm]) for arm in styles if arm in drawn])
    return grid.figure


def _has_curve(result: Result) -> bool:
    return result.ok and bool(curve_of(result))


def mean_curve(cells: Sequence[Result], arm: str, length: int) -> list[tuple[float, float]]:
    """(examples, validation score) of an arm at a length: the mean over its comparable cells.

    If no cell of the arm finished, cells with a part of a curve are used. A point is the mean of
    all cells or is left out.
    """
    here = [r for r in cells if r["length"] == length and curve_of(r)]
    if any(r.ok and r["arm"] == arm for r in here):
        here = comparable_cells([r for r in cells if r["length"] == length], _has_curve)
    curves = [curve_of(r) for r in here if r["arm"] == arm]
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
