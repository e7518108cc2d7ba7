"""Accuracy: against length, over length and density, against trainable parameters."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullFormatter

from reports.axes import draw_series, empty_note, legend, over_length
from reports.files import BASELINE, Result, density_text
from reports.stats import Series, accuracy_points, one_rate_an_arm
from reports.style import COLUMN, GREY, PAGE, ArmStyle, arm_styles, new_figure, styled
from reports.text import count


@styled
def accuracy_by_length(results: Sequence[Result]) -> Figure:
    """Test accuracy against length, one line an arm, 95 % intervals, baseline and majority."""
    results = one_rate_an_arm([r for r in results if r["kind"] == "train"])
    every = arm_styles(results)
    styles = {s: every[s] for s in every if not _is_baseline(s, results)}
    series = accuracy_points(results)
    canvas = over_length(1, results, every, COLUMN * 1.25, 2.75)
    axes = canvas.panels[0]
    axes.set_ylabel("Test accuracy")
    draw_series(axes, series, styles)
    for arm in styles:
        for point in series.get(arm, []):
            if len(point.seeds) > 1:
                dots = [point.length] * len(point.seeds)
                axes.plot(dots, point.seeds, ".", color=styles[arm].colour, ms=1.6, alpha=0.6)
    more = _draw_baseline(axes, series, results)
    more += _accuracy_limits(axes, series, results)
    if not series:
        empty_note(axes, "no test accuracy was measured")
    legend(canvas.figure, [styles[arm] for arm in styles if arm in series], more)
    return canvas.figure


def _is_baseline(arm: str, results: Sequence[Result]) -> bool:
    return any(r["arm"] == arm and r["method"] == BASELINE for r in results)


def _draw_baseline(axes: Axes, series: Series, results: Sequence[Result]) -> list[Line2D]:
    """The linear model on words as a dashed grey line with its interval as a band."""
    handles = []
    for arm, points in series.items():
        if not _is_baseline(arm, results):
            continue
        x = [p.length for p in points]
        axes.fill_between(
            x, [p.low for p in points], [p.high for p in points], color="#9a9a9a", alpha=0.2, lw=0
        )
        label = f"{arm} (linear baseline)"
        mark = "_" if len(points) == 1 else ""
        handles += axes.plot(
            x, [p.value for p in points], "--", color=GREY, marker=mark, label=label, zorder=1.5,
            gid=f"arm:{arm}",
        )  # fmt: skip
    return handles


def _accuracy_limits(axes: Axes, series: Series, results: Sequence[Result]) -> list[Line2D]:
    """Limits that show the data; the majority line where it fits, else a note that says where."""
    points = [point for arm in series.values() for point in arm]
    low = min((p.low for p in points), default=0.0)
    high = max((p.high for p in points), default=1.0)
    margin = max(0.02, 0.06 * (high - low))
    shares = [float(r["majority"]) for r in results if r["majority"] is not None]
    handles: list[Line2D] = []
    if shares and points:
        majority = median(shares)
        if (high - low) >= 0.4 * (high - majority):
            low = min(low, majority)
            handles.append(axes.axhline(majority, color=GREY, lw=0.8, ls=":", zorder=1.5))
            handles[0].set_label("majority class")
        else:
            axes.annotate(
                f"majority class: {majority:.2f}, below this axis", (0.99, 0.02),
                xycoords="axes fraction", ha="right", va="bottom", fontsize=5.8, color=GREY,
            )  # fmt: skip
            margin = max(margin, 0.1 * (high - low))
    axes.set_ylim(max(-0.02, low - margin), min(1.02, high + max(0.02, 0.06 * (high - low))))
    return handles


def density_panels(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Training cells of each method (and variant) that was run at several densities."""
    found: dict[str, list[Result]] = {}
    for result in one_rate_an_arm([r for r in results if r["kind"] == "train"]):
        if result["density"] is None:
            continue
        density = density_text(result["density"])
        words = [word for word in str(result["arm"]).split() if word != density]
        found.setdefault(" ".join(words), []).append(result)
    several = {
        name: cells for name, cells in found.items() if len({c["density"] for c in cells}) > 1
    }
    return several


@styled
def accuracy_by_density(results: Sequence[Result]) -> Figure:
    """Heat maps of accuracy over length and density, a panel a method; failures marked."""
    panels = density_panels(results)
    points = {name: accuracy_points(cells) for name, cells in panels.items()}
    values = [p.value for series in points.values() for arm in series.values() for p in arm]
    scale = Normalize(min(values, default=0.0), max(values, default=1.0))
    if scale.vmin == scale.vmax:
        scale = Normalize(scale.vmin - 0.01, scale.vmin + 0.01)  # type: ignore[operator]
    rows = max((len({c["density"] for c in cells}) for cells in panels.values()), default=1)
    width = PAGE if len(panels) > 1 else COLUMN * 1.2
    figure = new_figure(width, 0.95 + 0.36 * rows)
    grid = figure.subplots(1, max(1, len(panels)), squeeze=False)[0]
    for axes, (name, cells) in zip(grid, panels.items(), strict=False):
        _heat_map(axes, cells, points[name], scale)
        axes.set_title(name)
    grid[0].set_ylabel("Density (share of sites)")
    if values:
        from matplotlib.cm import ScalarMappable

        bar = figure.colorbar(ScalarMappable(scale, "cividis"), ax=list(grid), aspect=12, pad=0.02)
        bar.set_label("Test accuracy")
        bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def _heat_map(axes: Axes, cells: list[Result], series: Series, scale: Normalize) -> None:
    lengths = sorted({int(c["length"]) for c in cells})
    densities = sorted({float(c["density"]) for c in cells}, reverse=True)
    found = {
        (float(c["density"]), p.length): p.value
        for c in cells
        for p in series.get(str(c["arm"]), [])
        if p.length == c["length"]
    }
    colours = colormaps["cividis"]
    for row, density in enumerate(densities):
        for column, length in enumerate(lengths):
            value = found.get((density, length))
            here = [c for c in cells if c["density"] == density and c["length"] == length]
            failed = [str(c["status"]) for c in here if not c.ok]
            box = {"edgecolor": "white", "linewidth": 1.0}
            if value is not None:
                colour = colours(scale(value))
                axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, **box))
                text = f"{value:.3f}" + (f"\n{len(failed)} {failed[0]}" if failed else "")
                dark = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] < 0.5
                ink = "white" if dark else "black"
            else:
                hatch = None if failed else "////"
                axes.add_patch(
                    Rectangle(
                        (column - 0.5, row - 0.5), 1, 1, facecolor="#ececec", hatch=hatch, **box
                    )
                )
                text, ink = (f"× {failed[0]}" if failed else ""), "#a00000"
            gid = f"failure:{density}:{length}" if failed else None
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=6.5, gid=gid)
    axes.set_xlim(-0.5, len(lengths) - 0.5)
    axes.set_ylim(len(densities) - 0.5, -0.5)
    axes.set_xticks(range(len(lengths)), [str(n) for n in lengths])
    links = {float(c["density"]): c["links"] for c in cells if c["method"] == "ssmlora"}
    axes.set_yticks(
        range(len(densities)),
        [
            density_text(d) + ("" if links.get(d) is None else f"\n{count(links[d], 'link')}")
            for d in densities
        ],
    )
    axes.set_xlabel("Length (tokens)")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


@styled
def accuracy_by_parameters(results: Sequence[Result]) -> Figure:
    """Test accuracy against trainable parameters, a panel a length, one marker an arm."""
    trained = one_rate_an_arm([r for r in results if r["kind"] == "train"])
    series = accuracy_points(trained)
    sizes = {str(r["arm"]): int(r["trainable_params"]) for r in trained if r["trainable_params"]}
    styles = {arm: style for arm, style in arm_styles(trained).items() if arm in sizes}
    lengths = sorted({p.length for arm in styles for p in series.get(arm, [])})
    columns = min(4, max(1, len(lengths)))
    rows = -(-max(1, len(lengths)) // columns)
    width = PAGE if columns > 2 else COLUMN * 1.2
    figure = new_figure(width, 1.75 * rows + 0.55)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    flat = [axes for row in grid for axes in row]
    more: list[Line2D] = []
    for axes, length in zip(flat, lengths, strict=False):
        axes.set_title(f"{length} tokens")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        for arm, style in styles.items():
            for point in series.get(arm, []):
                if point.length == length:
                    _marker(axes, sizes[arm], (point.value, point.low, point.high), style)
        for arm, points in series.items():
            for point in points:
                if point.length == length and _is_baseline(arm, trained):
                    line = axes.axhline(point.value, ls="--", color=GREY, lw=0.9, zorder=1)
                    line.set_label(f"{arm} (linear baseline)")
                    more = [line]
    for axes in flat[len(lengths) :]:
        axes.set_visible(False)
    figure.supxlabel("Trainable parameters", fontsize=7.5)
    figure.supylabel("Test accuracy", fontsize=7.5)
    if not lengths:
        flat[0].set_visible(True)
        empty_note(flat[0], "no test accuracy was measured")
    legend(figure, list(styles.values()), more)
    return figure


def _marker(axes: Axes, size: int, values: tuple[float, float, float], style: ArmStyle) -> None:
    value, low, high = values
    axes.errorbar(
        [size], [value], [[value - low], [high - value]], fmt="none", ecolor=style.colour,
        elinewidth=0.7, capsize=1.6, alpha=0.8,
    )  # fmt: skip
    axes.plot([size], [value], gid=f"arm:{style.label}", **{**style.lines, "linestyle": "none"})


def _short(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g} {letter}"
    return f"{value:g}"
