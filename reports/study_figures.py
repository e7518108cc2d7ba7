"""How the arms were trained: learning rates tried, validation accuracy on the way."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.axes import legend
from reports.files import Result
from reports.stats import one_rate_an_arm, tries
from reports.style import COLUMN, PAGE, arm_styles, new_figure, styled


@styled
def rates_tried(results: Sequence[Result]) -> Figure:
    """Validation accuracy against learning rate, a panel an arm: every try, the best ringed.

    Small dots are single cells; the line is their mean, in which a failed cell counts as 0.
    """
    styles = arm_styles(results)
    tried = {arm: rates for arm, rates in tries(results).items() if rates}
    shown = [arm for arm in styles if arm in tried]
    columns = min(4, max(1, len(shown)))
    rows = -(-max(1, len(shown)) // columns)
    figure = new_figure(PAGE if columns > 2 else COLUMN * 1.2, 1.45 * rows + 0.55)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    flat = [axes for row in grid for axes in row]
    for axes, arm in zip(flat, shown, strict=False):
        style, rates = styles[arm], tried[arm]
        axes.set_title(arm)
        axes.set_xscale("log")
        lrs = [t.lr for t in rates]
        axes.xaxis.set_major_locator(FixedLocator(lrs))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: rate_text(value)))
        axes.tick_params(axis="x", labelrotation=45)
        axes.set_xlim(min(lrs) / 1.6, max(lrs) * 1.6)
        seen = [t for t in rates if t.values]
        for one in rates:
            axes.plot([one.lr] * len(one.values), one.values, ".", color=style.colour, ms=2.5)
            if one.failures:
                axes.plot(
                    [one.lr], [0.04], "x", color=style.colour, ms=4.5, mew=1.3, clip_on=False,
                    transform=axes.get_xaxis_transform(), gid=f"failure:{arm}:{one.lr}",
                )  # fmt: skip
                axes.annotate(
                    "/".join(dict.fromkeys(one.failures)), (one.lr, 0.04), xytext=(0, 4),
                    xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                    ha="center", va="bottom", fontsize=5.3,
                )  # fmt: skip
        axes.plot(
            [t.lr for t in seen], [fmean(t.values) for t in seen], gid=f"arm:{arm}", **style.lines
        )
        best = max(rates, key=lambda t: t.score)
        if best.values:
            ring = {"markerfacecolor": "none", "markeredgecolor": "black", "markersize": 9}
            axes.plot([best.lr], [fmean(best.values)], "o", **ring)
    for axes in flat[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel("Learning rate", fontsize=7.5)
    figure.supylabel("Validation accuracy", fontsize=7.5)
    ring_entry = Line2D([], [], ls="none", marker="o", mfc="none", mec="black", ms=7)
    ring_entry.set_label("best mean over cells")
    dot_entry = Line2D([], [], ls="none", marker=".", color="black", ms=3, label="one cell")
    legend(figure, [], [ring_entry, dot_entry])
    return figure


@styled
def validation_curves(results: Sequence[Result]) -> Figure:
    """Validation accuracy during training, a panel a length, one line an arm (mean of seeds)."""
    cells = [r for r in one_rate_an_arm(results) if curve_of(r)]
    styles = arm_styles(cells)
    lengths = sorted({int(r["length"]) for r in cells})
    columns = min(4, max(1, len(lengths)))
    rows = -(-max(1, len(lengths)) // columns)
    figure = new_figure(PAGE if columns > 2 else COLUMN * 1.2, 1.6 * rows + 0.55)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    flat = [axes for row in grid for axes in row]
    for axes, length in zip(flat, lengths, strict=False):
        axes.set_title(f"{length} tokens")
        for arm, style in styles.items():
            found: dict[float, list[float]] = {}
            for cell in cells:
                if cell["arm"] == arm and cell["length"] == length:
                    for examples, accuracy in curve_of(cell):
                        found.setdefault(examples, []).append(accuracy)
            if found:
                x = sorted(found)
                axes.plot(x, [fmean(found[n]) for n in x], gid=f"arm:{arm}", **style.lines)
    for axes in flat[len(lengths) :]:
        axes.set_visible(False)
    figure.supxlabel("Training examples seen", fontsize=7.5)
    figure.supylabel("Validation accuracy", fontsize=7.5)
    legend(figure, list(styles.values()))
    return figure


def curve_of(result: Result) -> list[tuple[float, float]]:
    """(examples seen, validation accuracy) where both are known."""
    points = [(p.get("examples"), p.get("validation_accuracy")) for p in result.curve]
    return [(x, y) for x, y in points if x is not None and y is not None]


def rate_text(lr: float) -> str:
    """A learning rate: `5e-4`, `0.1`."""
    text = f"{lr:.3g}"
    return text if lr >= 0.01 else f"{lr:.1e}".replace(".0e", "e").replace("e-0", "e-")
