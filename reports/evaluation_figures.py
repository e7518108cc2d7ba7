"""Tasks of lm-eval against length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from reports.axes import draw_series, empty_note, legend, marked, over_length
from reports.evaluations import as_cells, evaluation_points, spread_far, task_series
from reports.files import Result
from reports.style import COLUMN, PAGE, arm_styles, styled
from reports.text import capital, shortened


def evaluation_by_length(task: str) -> Callable[[Sequence[Result]], Figure]:
    """The drawing of one task: value against length, a panel a metric, failures marked below."""

    @styled
    def draw(results: Sequence[Result]) -> Figure:
        cells = as_cells(results, task)
        points = evaluation_points(results)
        metrics = list(dict.fromkeys(what for name, what, _, _ in points if name == task))[:3]
        styles = arm_styles(cells)
        width = PAGE if len(metrics) > 1 else COLUMN * 1.25
        canvas = over_length(max(1, len(metrics)), cells, styles, width, 2.3)
        shown: dict[str, list[str]] = {}
        for axes, metric in zip(canvas.panels, metrics, strict=False):
            series = task_series(points, task, metric)
            for arm, found in series.items():
                shown.setdefault(arm, []).extend(point.note for point in found)
            axes.set_ylabel(shortened(capital(metric), 40))
            draw_series(axes, series, styles)
            values = [v for found in series.values() for p in found for v in (p.low, p.high)]
            if spread_far(series):
                axes.set_yscale("log")
            elif values and min(p.value for s in series.values() for p in s) >= 0:
                top = max(values)
                axes.set_ylim(min(0.0, *values) - 0.03 * top, 1.06 * top if top > 0 else 1.0)
            if not series:
                empty_note(axes, "no value was measured")
        legend(canvas.figure, [marked(styles[arm], shown[arm]) for arm in styles if arm in shown])
        return canvas.figure

    return draw
