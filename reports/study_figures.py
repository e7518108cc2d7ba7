"""How the arms were trained: learning rates tried, validation scores on the way."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.axes import legend, marked
from reports.files import Result
from reports.metrics import metric_of
from reports.panels import panels
from reports.reach import noted, reach_notes
from reports.seeds import comparable_cells, places
from reports.stats import Try, best_try, one_rate_an_arm, tries
from reports.style import ArmStyle, arm_styles, styled
from reports.text import wrapped


@styled
def rates_tried(results: Sequence[Result]) -> Figure:
    """Validation score against learning rate, a panel an arm: every try, the best ringed.

    Small dots are single cells, the line is the mean of those that ended well. For the best mean a
    failed cell counts as the worst there is.
    """
    styles = arm_styles(results)
    tried = {arm: rates for arm, rates in tries(results).items() if rates}
    shown = [arm for arm in styles if arm in tried]
    titles = [wrapped(arm, 26) for arm in shown]
    lines = max((title.count("\n") for title in titles), default=0)
    grid = panels(len(shown), height=1.45 + 0.12 * lines, share_x=False)
    for axes, arm, title in zip(grid.panels, shown, titles, strict=False):
        axes.set_title(title)
        _rate_axis(axes, [t.lr for t in tried[arm]])
        _draw_tries(axes, arm, tried[arm], styles[arm])
    failed = any(t.failures for rates in tried.values() for t in rates)
    low, high = grid.panels[0].get_ylim()
    room = high - low  # for the ring above, and for crosses below the lowest value
    grid.panels[0].set_ylim(low - (0.2 if failed else 0.06) * room, high + 0.12 * room)
    grid.name("Learning rate", metric_of(results).named("Validation", "\n"))
    ring = Line2D([], [], ls="none", marker="o", mfc="none", mec="black", ms=7)
    ring.set_label("best mean over cells")
    dot = Line2D([], [], ls="none", marker=".", color="black", ms=3, label="one cell")
    several = any(len(t.values) > 1 for rates in tried.values() for t in rates)
    legend(grid.figure, [], [ring, dot] if several else [ring])
    return grid.figure


def _rate_axis(axes: Axes, rates: Sequence[float]) -> None:
    """A logarithmic axis whose ticks are the rates that were tried."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(rates)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: rate_text(value)))
    axes.tick_params(axis="x", labelrotation=45)
    axes.set_xlim(min(rates) / 1.6, max(rates) * 1.6)


def _draw_tries(axes: Axes, arm: str, rates: Sequence[Try], style: ArmStyle) -> None:
    seen = [t for t in rates if t.values]
    axes.plot(
        [t.lr for t in seen], [fmean(t.values) for t in seen], gid=f"arm:{arm}", **style.lines
    )
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
    best = best_try(rates)
    if best.values:
        axes.plot(
            [best.lr], [fmean(best.values)], "o", mfc="none", mec="black", ms=9, gid=f"best:{arm}"
        )


@styled
def validation_curves(results: Sequence[Result]) -> Figure:
    """Validation score during training, a panel a length, one line an arm (mean of seeds)."""
    cells = one_rate_an_arm([r for r in results if r["kind"] == "train"])
    styles = arm_styles(cells)
    lengths = sorted({int(r["length"]) for r in cells if curve_of(r)})
    grid = panels(len(lengths), height=1.6)
    drawn: dict[str, list[str]] = {}
    missing = curve_notes(cells)
    notes = reach_notes(cells)
    for axes, length in zip(grid.panels, lengths, strict=False):
        axes.set_title(noted(length, notes, " tokens"))
        for arm, style in styles.items():
            curve = mean_curve(cells, arm, length)
            if curve:
                drawn.setdefault(arm, []).append(missing[arm, length])
                axes.plot(*zip(*curve, strict=True), gid=f"arm:{arm}", **style.lines)
    if lengths:
        grid.note_failures([[r for r in cells if r["length"] == n] for n in lengths])
    grid.name("Training examples seen", metric_of(cells).named("Validation", "\n"))
    legend(grid.figure, [marked(styles[arm], drawn[arm]) for arm in styles if arm in drawn])
    return grid.figure


def mean_curve(cells: Sequence[Result], arm: str, length: int) -> list[tuple[float, float]]:
    """(examples seen, validation score) of an arm at a length, the mean over its cells.

    Cells are those of the seeds that all arms have at that length; of an arm none of whose cells
    ended well, those that got as far as a curve. A point is shown where every one of them has it.
    """
    here = [r for r in cells if r["length"] == length and curve_of(r)]
    if any(r.ok and r["arm"] == arm for r in here):
        here = comparable_cells(
            [r for r in cells if r["length"] == length], lambda r: r.ok and bool(curve_of(r))
        )
    curves = [curve_of(r) for r in here if r["arm"] == arm]
    found: dict[float, list[float]] = {}
    for examples, score in (point for curve in curves for point in curve):
        found.setdefault(examples, []).append(score)
    return [(n, fmean(found[n])) for n in sorted(found) if len(found[n]) == len(curves)]


def curve_notes(cells: Sequence[Result]) -> dict[tuple[str, int], str]:
    """By arm and length: how many of the planned seeds have a curve, where some have none."""
    found = places(cells, lambda r: r.ok and bool(curve_of(r)))
    return {(arm, n): place.note for arm, at in found.items() for n, place in at.items()}


def curve_of(result: Result) -> list[tuple[float, float]]:
    """(examples seen, validation score) where both are known."""
    points = [(p.get("examples"), p.get("validation_score")) for p in result.curve]
    return [(x, y) for x, y in points if x is not None and y is not None]


def rate_text(lr: float) -> str:
    """A learning rate: `5e-4`, `0.1`."""
    text = f"{lr:.3g}"
    return text if lr >= 0.01 else f"{lr:.1e}".replace(".0e", "e").replace("e-0", "e-")
