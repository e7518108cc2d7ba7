"""Heat maps of the score over length and density."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reports.files import CHAINED, Result, density_text
from reports.metrics import metric_of
from reports.reach import noted, reach_notes
from reports.stats import Series, arms, one_rate_an_arm, score_points
from reports.style import COLUMN, PAGE, ink_on, new_figure, styled
from reports.text import count, listed, wrapped

_COLOURS = "cividis"  # rises evenly in lightness, and looks the same to colour-blind eyes
_FALLING = "cividis_r"  # where less is better: the better a place, the lighter
_WIDTH = 187.0  # of a panel, in points
_LETTER = 0.62  # width of a letter, as a share of the size of the font


def density_panels(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Training cells of each method (and variant) that was run at several densities."""
    found: dict[str, list[Result]] = {}
    for result in one_rate_an_arm([r for r in results if r["kind"] == "train"]):
        if result["density"] is None:
            continue
        density = density_text(result["density"])
        words = [word for word in str(result["arm"]).split() if word != density]
        found.setdefault(" ".join(words), []).append(result)
    return {name: cells for name, cells in found.items() if len({c["density"] for c in cells}) > 1}


@styled
def accuracy_by_density(results: Sequence[Result]) -> Figure:
    """Heat maps of the score over length and density, a panel a method; failures marked.

    A density has the same height in every panel, and all panels share one scale of colours, on
    which better is lighter.
    """
    panels = density_panels(results)
    every = score_points([r for r in results if r["kind"] == "train"])
    points = {
        name: {arm: every[arm] for arm in arms(cells) if arm in every}
        for name, cells in panels.items()
    }
    values = [p.value for series in points.values() for arm in series.values() for p in arm]
    low, high = min(values, default=0.0), max(values, default=1.0)
    scale = Normalize(low, high) if low < high else Normalize(low - 0.01, high + 0.01)
    metric = metric_of(c for p in panels.values() for c in p)
    colours = _FALLING if metric.lower else _COLOURS
    densities = sorted({float(c["density"]) for p in panels.values() for c in p}, reverse=True)
    columns = min(2, max(1, len(panels)))
    rows = -(-max(1, len(panels)) // columns)
    width = PAGE if columns > 1 else COLUMN * 1.2
    figure = new_figure(width, (0.75 + 0.36 * len(densities)) * rows + 0.1)
    grid = figure.subplots(rows, columns, squeeze=False)
    flat = [axes for row in grid for axes in row]
    for place, (axes, (name, cells)) in enumerate(zip(flat, panels.items(), strict=False)):
        _heat_map(axes, cells, points[name], ScalarMappable(scale, colours), densities)
        axes.set_title(wrapped(name, 44))
        if place % columns == 0:
            axes.set_ylabel("Density (share of sites)")
    for axes in flat[len(panels) :]:
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
) -> None:
    lengths = sorted({int(c["length"]) for c in cells})
    room = 0.85 * _WIDTH / max(1, len(lengths))  # for a text in a cell, in points
    narrow = room < 5 * _LETTER * 6.5
    size = min(6.5, room / (4 * _LETTER))
    for row, density in enumerate(densities):
        own = [c for c in cells if c["density"] == density]
        points = [p for arm in {str(c["arm"]) for c in own} for p in series.get(arm, [])]
        found = {p.length: p.value for p in points}
        notes = {p.length: p.note for p in points}
        for column, length in enumerate(lengths if own else []):
            failed = Counter(str(c["status"]) for c in own if c["length"] == length and not c.ok)
            told = notes.get(length) or listed([f"{n} {status}" for status, n in failed.items()])
            hatch = None
            if length in found:
                red, green, blue, _ = scale.to_rgba(np.asarray([found[length]]))[0]
                colour = (float(red), float(green), float(blue), 1.0)
                value = f"{found[length]:.3f}"
                text = value.removeprefix("0" if narrow else "") + (f"\n({told})" if told else "")
                ink = ink_on(colour)
            else:
                colour = (0.925, 0.925, 0.925, 1.0)
                run = any(c.ok and c["length"] == length for c in own)  # no seed in common
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
    axes.set_xlim(-0.5, len(lengths) - 0.5)
    axes.set_ylim(len(densities) - 0.5, -0.5)
    notes = reach_notes(cells)
    ticks = [noted(n, notes).replace(" (", "\n(") for n in lengths]
    axes.set_xticks(range(len(lengths)), ticks)
    here = {float(c["density"]) for c in cells}
    links = {
        float(c["density"]): int(c["links"])
        for c in cells
        if c["links"] is not None and c["method"] == CHAINED
    }
    axes.set_yticks(
        [row for row, density in enumerate(densities) if density in here],
        [
            density_text(d) + (f"\n{count(links[d], 'link')}" if d in links else "")
            for d in densities
            if d in here
        ],
    )
    axes.set_xlabel("Length (tokens)")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
