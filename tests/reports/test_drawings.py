"""Both drawings of a figure, for print and for the page, show the points of its description."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from reports.blocks import Picture
from reports.figures.describe import Chart, Curve, Panel
from reports.figures.interactive import library
from reports.figures.printed import drawn
from reports.page import Report, build_report
from reports.sections import all_sections
from tests.reports.conftest import laptop_cells, make_cell, tuning_cells, write_run
from tests.reports.faces import loaded
from tests.reports.made import evaluation_cells, further_cells, loss_cells
from tests.reports.pages import data_of, read
from tests.reports.test_memory import CELLS as MEMORY
from tests.reports.test_use import CELLS as USE

RUNS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "seeds": lambda: laptop_cells(2), "tune": tuning_cells, "losses": loss_cells,
    "evaluations": evaluation_cells, "further": further_cells, "memory": lambda: MEMORY,
    "use": lambda: USE, "bounds": lambda: bounds(),
}  # fmt: skip


def bounds() -> list[dict[str, Any]]:
    """One length, and scores without an interval above or below them."""
    scores = {"full": 1.0, "lora": 0.0, "tfidf": 0.9}
    return [make_cell(method, accuracy=score) for method, score in scores.items()]


def charts(report: Report) -> dict[str, Chart]:
    blocks = [block for kind in all_sections() for block in kind.build(report)]
    return {block.stem: block.chart for block in blocks if isinstance(block, Picture)}


def of_print(figure: Figure, chart: Chart) -> list[dict[str, Any]]:
    """By panel: points by mark, ends of bars, limits, texts of ticks, as matplotlib has them."""
    found = []
    for axes, panel in zip(figure.axes, chart.panels, strict=False):
        lines: dict[str, list[Any]] = {}
        for line in axes.lines:
            if line.get_gid():
                x, y = (np.asarray(v, float) for v in (line.get_xdata(), line.get_ydata()))
                lines.setdefault(str(line.get_gid()), []).append((x, y))
        bars = [s for c in axes.findobj(LineCollection) for s in c.get_segments() if len(s) == 2]
        found.append({
            "lines": lines, "bars": bars, "x": axes.get_xlim(), "y": axes.get_ylim(),
            "title": axes.get_title(), "panel": panel,
            "heights": sorted(p.get_height() for p in axes.patches if p.get_gid()),
            "texts": {t.get_text() for t in axes.texts},
        })  # fmt: skip
    return found


def of_page(figure: dict[str, Any], number: int) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """The traces of a panel by mark, and its layout."""
    traces: dict[str, list[Any]] = {}
    for trace in figure["data"]:
        if trace["xaxis"] == f"x{number}":
            traces.setdefault(trace["meta"], []).append(trace)
    return traces, {name: figure["layout"][f"{name}axis{number}"] for name in "xy"}


def same(a: Any, b: Any) -> bool:
    return bool(np.allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-5, equal_nan=True))


def check_curve(curve: Curve, panel: Panel, printed: dict[str, Any], traces: list[Any]) -> None:
    assert any(same(x, curve.x) and same(y, curve.y) for x, y in printed["lines"][curve.gid])
    (trace,) = [t for t in traces if same(t["x"], curve.x) and same(t["y"], curve.y)]
    if any(curve.labels):
        assert len(trace["hovertext"]) == len(curve.x)
    if curve.low and not curve.band:
        bars = trace["error_y"]
        assert same(np.subtract(trace["y"], bars["arrayminus"]), np.minimum(curve.low, curve.y))
        assert same(np.add(trace["y"], bars["array"]), np.maximum(curve.high, curve.y))
        for x, y, low, high in zip(curve.x, curve.y, curve.low, curve.high, strict=True):
            if low <= y <= high and low < high:
                assert any(
                    same(segment[:, 0], x) and same(sorted(segment[:, 1]), (low, high))
                    for segment in printed["bars"]
                )


@pytest.mark.parametrize(
    "run",
    [
        run if run in ("memory", "bounds") else pytest.param(run, marks=pytest.mark.slow)
        for run in RUNS
    ],
)
def test_both_drawings_show_the_points_of_the_description(run: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", RUNS[run]())
    shown = data_of(read(build_report([folder], tmp_path / "report")), "figures")
    every = charts(loaded(folder))
    assert shown.keys() == every.keys() != set()
    for name, chart in every.items():
        printed = of_print(drawn(chart), chart)
        for number, (panel, own) in enumerate(zip(chart.panels, printed, strict=True), start=1):
            traces, layout = of_page(shown[name], number)
            for curve in panel.curves:
                check_curve(curve, panel, own, traces[curve.gid])
            for level in panel.levels:
                (trace,) = traces[level.mark or f"level:{level.name}"]
                assert same(trace["y"], [level.value] * 2)
            heights = [bar.height for bar in panel.bars]
            assert same(own["heights"], sorted(heights))
            own_bars = [t for found in traces.values() for t in found if t["type"] == "bar"]
            assert same(sorted(h for trace in own_bars for h in trace["y"]), sorted(heights))
            values = {(t.column, t.row): t.value for t in panel.tiles if t.value is not None}
            for trace in traces.get("tiles", []):
                at = dict(zip(zip(trace["x"], trace["y"], strict=True), trace["z"], strict=True))
                assert at.keys() == values.keys()
                assert same([at[k] for k in values], list(values.values()))
            assert own["texts"] >= {tile.text for tile in panel.tiles}
            for axis in "xy":
                ends = layout[axis]["range"]
                ends = np.power(10.0, ends) if layout[axis]["type"] == "log" else ends
                assert same(ends, own[axis])
            for kind in {trace["type"] for found in traces.values() for trace in found}:
                assert f'moduleType:"trace",name:"{kind}"' in library()
            count = sum(len(t) for t in traces.values())
            bands = sum(bool(c.low and c.band) for c in panel.curves)
            parts = len({bar.name for bar in panel.bars})
            marks = bool(panel.labels) + bool(panel.tiles)
            assert count == len(panel.curves) + len(panel.levels) + bands + parts + marks
