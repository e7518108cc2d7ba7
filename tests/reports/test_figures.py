"""Figures: every arm is drawn with its values, failures are marked, and nothing overlaps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.frame import Result
from reports.stats import cost_points, score_points
from tests.reports.conftest import make_cell
from tests.reports.faces import (
    accuracy_by_density,
    accuracy_by_length,
    accuracy_by_parameters,
    memory_by_length,
    rates_tried,
    throughput_by_length,
    validation_curves,
)

pytestmark = pytest.mark.filterwarnings("error")

Draw = Callable[[Sequence[Result]], Figure]
Load = Callable[..., list[Result]]
ARMS = ["Full", "LoRA 1", "LoRA 1/2", "SSMLoRA 1", "SSMLoRA 1/2", "SSMLoRA 1/4"]
DRAWN: dict[str, tuple[Draw, list[str], tuple[str, str]]] = {
    "length": (accuracy_by_length, [*ARMS, "TF-IDF"], ("Length (tokens)", "Test accuracy")),
    "parameters": (
        accuracy_by_parameters, [*ARMS, "TF-IDF"], ("Trainable parameters", "Test accuracy"),
    ),
    "curves": (validation_curves, ARMS, ("Training examples", "Validation accuracy")),
    "memory": (memory_by_length, ARMS, ("Length (tokens)", "Resident memory (GiB)")),
    "throughput": (throughput_by_length, ARMS, ("Length (tokens)", "Throughput (tokens/s)")),
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(results: dict[str, list[Result]]) -> dict[str, Figure]:
    """Each figure once: the tests only look at it."""
    return {
        name: draw(results["probe" if name in ("memory", "throughput") else "train"])
        for name, (draw, _, _) in DRAWN.items()
    }


def marked(figure: Figure | Axes, start: str) -> list[Any]:
    """What carries a mark that starts so, in the order of drawing."""
    return [a for a in figure.findobj() if str(a.get_gid() or "").startswith(start)]


def visible(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


@pytest.mark.parametrize("name", DRAWN)
def test_every_arm_is_drawn_and_in_the_legend(drawn: dict[str, Figure], name: str) -> None:
    figure = drawn[name]
    _, arms, _ = DRAWN[name]
    assert {artist.get_gid() for artist in marked(figure, "arm:")} == {f"arm:{a}" for a in arms}
    (legend,) = figure.legends
    told = [text.get_text().removesuffix(" (linear)") for text in legend.get_texts()]
    assert told[: len(arms)] == arms


@pytest.mark.parametrize("name", DRAWN)
def test_axes_are_named_with_their_units(drawn: dict[str, Figure], name: str) -> None:
    axes = visible(drawn[name])
    x, y = DRAWN[name][2]
    named = {(a.get_xlabel(), a.get_ylabel()) for a in axes}
    assert {label for label, _ in named} <= {x, ""}
    assert {label for _, label in named} <= {y, ""}
    assert any(label == y for _, label in named)
    lowest = min(a.get_position().y0 for a in axes)
    assert all(a.get_xlabel() == x for a in axes if a.get_position().y0 == lowest)


def line_of(axes: Axes, arm: str) -> Line2D:
    (line,) = [a for a in marked(axes, "arm:") if a.get_gid() == f"arm:{arm}"]
    assert isinstance(line, Line2D)
    return line


def test_lines_and_bars_hold_the_accuracies_and_their_intervals(
    results: dict[str, list[Result]],
) -> None:
    axes = accuracy_by_length(results["seeds"]).axes[0]
    bars = [
        segment
        for collection in axes.findobj(LineCollection)
        for segment in collection.get_segments()
    ]
    for arm in ARMS:
        points = score_points(results["seeds"])[arm]
        line = line_of(axes, arm)
        x = np.asarray(line.get_xdata(), float)
        assert np.asarray(line.get_ydata()).tolist() == [p.value for p in points]
        assert np.all(np.abs(np.log2(x / [p.length for p in points])) < 0.3)
        for place, point in zip(x, points, strict=True):
            ends = [s for s in bars if np.allclose(s[:, 0], place)]
            assert any(np.allclose(sorted(s[:, 1]), [point.low, point.high]) for s in ends)
    dots = [len(dot.get_ydata()) for dot in marked(axes, "seeds:SSMLoRA 1/2")]
    assert dots == [12]  # three seeds at four lengths


def test_the_baseline_stands_on_its_lengths_and_the_majority_is_told(
    drawn: dict[str, Figure], results: dict[str, list[Result]]
) -> None:
    axes = drawn["length"].axes[0]
    line = line_of(axes, "TF-IDF")
    assert np.asarray(line.get_xdata()).tolist() == [64, 128, 256, 512]
    assert any("constant answer (test): 0.31" in t.get_text() for t in axes.texts)
    low, high = axes.get_ylim()
    points = [p for series in score_points(results["train"]).values() for p in series]
    assert low < min(p.low for p in points)
    assert high > max(p.high for p in points)


def test_a_majority_close_to_the_data_is_a_line(load: Load) -> None:
    cells = [make_cell(length=n, accuracy=0.4) for n in (64, 128)]
    axes = accuracy_by_length(load(cells)).axes[0]
    flat = [line for line in axes.lines if list(line.get_ydata()) == [0.31, 0.31]]
    assert [line.get_label() for line in flat] == ["best constant answer (test)"]
    assert axes.get_ylim()[0] < 0.31


def test_costs_are_drawn_in_the_unit_of_the_axis(
    drawn: dict[str, Figure], results: dict[str, list[Result]]
) -> None:
    for figure, column, unit in (
        (drawn["memory"], "peak_bytes", 2**30),
        (drawn["throughput"], "tokens_per_s", 1),
    ):
        for axes, phase in zip(figure.axes, ("train", "eval"), strict=False):
            for arm, points in cost_points(results["probe"], f"{phase}_{column}").items():
                values = np.asarray(line_of(axes, arm).get_ydata())
                assert values == pytest.approx([p.value / unit for p in points])
            assert axes.get_ylim()[0] == 0


def test_costs_that_span_far_get_a_logarithmic_axis(load: Load) -> None:
    cells = []
    for length, rate in ((64, 20_000.0), (4096, 90.0)):
        cells.append(make_cell(length=length, kind="probe", cost={"train_tokens_per_s": rate}))
    axes = throughput_by_length(load(cells)).axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] < 90


def test_evaluation_has_no_panel_where_it_was_not_measured(load: Load) -> None:
    cells = [make_cell(kind="probe", length=n) for n in (64, 128)]
    for cell in cells:
        for name in ("eval_peak_bytes", "eval_tokens_per_s"):
            cell["cost"][name] = None
    for draw in (memory_by_length, throughput_by_length):
        assert [a.get_title() for a in draw(load(cells)).axes] == ["Training"]


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("length", {"failure:Full:512:diverged", "failure:SSMLoRA 1/4:512:timeout"}),
        ("parameters", {"failure:Full:512:diverged", "failure:SSMLoRA 1/4:512:timeout"}),
        ("curves", {"failure:Full:512:diverged", "failure:SSMLoRA 1/4:512:timeout"}),
        ("memory", {"failure:Full:2048:oom"}),
        ("throughput", {"failure:Full:2048:oom"}),
    ],
)
def test_failures_are_marked_where_they_happened(
    drawn: dict[str, Figure], name: str, marks: set[str]
) -> None:
    figure = drawn[name]
    found = marked(figure, "failure:")
    assert {artist.get_gid() for artist in found} == marks
    named = {f"{arm}: {status}" for _, arm, _, status in (mark.split(":") for mark in marks)}
    for artist in found:
        if isinstance(artist, Line2D):  # a cross in the strip: at its length, named at its row
            _, arm, length, status = artist.get_gid().split(":")
            assert list(artist.get_xdata()) == [int(length)]
            (row,) = artist.get_ydata()
            strip = next(a for a in figure.axes if a.get_yticklabels()[0].get_text() in named)
            assert strip.get_yticklabels()[int(row)].get_text() == f"{arm}: {status}"
        else:
            assert artist.axes.get_title() == "512 tokens"


def test_some_seeds_that_failed_are_counted(load: Load) -> None:
    cells = [make_cell(seed=s, status=st) for s, st in enumerate(("ok", "oom", "oom", "timeout"))]
    strip = accuracy_by_length(load(cells)).axes[1]
    assert [t.get_text() for t in strip.get_yticklabels()] == ["LoRA 1: oom", "LoRA 1: timeout"]
    assert [t.get_text() for t in strip.texts] == ["2 of 4", "1 of 4"]


def test_the_heat_map_says_every_value(results: dict[str, list[Result]]) -> None:
    figure = accuracy_by_density(results["train"])
    lora, ssmlora = figure.axes[:2]
    assert (lora.get_title(), ssmlora.get_title()) == ("LoRA", "SSMLoRA")
    assert [t.get_text() for t in lora.get_yticklabels()] == ["1", "1/2"]
    assert [t.get_text() for t in ssmlora.get_yticklabels()] == [
        "1\nlinks: 10", "1/2\nlinks: 4", "1/4\nlinks: 1",
    ]  # fmt: skip
    assert [t.get_text() for t in ssmlora.get_xticklabels()] == ["64", "128", "256", "512"]
    assert figure.axes[2].get_ylabel() == "Test accuracy"
    points = score_points(results["train"])
    for axes, name in ((lora, "LoRA"), (ssmlora, "SSMLoRA")):
        for density, part in ((1.0, "1"), (0.5, "1/2"), (0.25, "1/4")):
            for p in points.get(f"{name} {part}", []):
                (text,) = marked(axes, f"value:{density}:{p.length}")
                assert text.get_text() == f"{p.value:.3f}"
    (failed,) = marked(figure, "failure:")
    assert (failed.get_gid(), failed.get_text()) == ("failure:0.25:512", "× timeout")


def test_rows_of_the_heat_maps_line_up(results: dict[str, list[Result]]) -> None:
    lora, ssmlora = accuracy_by_density(results["train"]).axes[:2]
    assert lora.get_ylim() == ssmlora.get_ylim()
    (a,), (b,) = (marked(axes, "value:0.5:64") for axes in (lora, ssmlora))
    assert a.get_position()[1] == b.get_position()[1]


def test_a_place_that_was_not_run_is_hatched(load: Load) -> None:
    cells = [make_cell("lora", d, n) for d in (1.0, 0.5) for n in (64, 128)][:-1]
    axes = accuracy_by_density(load(cells)).axes[0]
    hatched = [patch for patch in axes.patches if patch.get_hatch()]
    assert [(p.get_x() + 0.5, p.get_y() + 0.5) for p in hatched] == [(1, 1)]


def test_markers_stand_at_their_size(
    drawn: dict[str, Figure], results: dict[str, list[Result]]
) -> None:
    figure = drawn["parameters"]
    assert [axes.get_title() for axes in figure.axes] == [
        f"{n} tokens" for n in (64, 128, 256, 512)
    ]
    sizes = {r["arm"]: r["trainable_params"] for r in results["train"] if r["trainable_params"]}
    points = score_points(results["train"])
    for axes, length in zip(figure.axes, (64, 128, 256, 512), strict=True):
        here = {}
        for arm in ARMS:
            value = [p.value for p in points[arm] if p.length == length]
            if value:
                line = line_of(axes, arm)
                here[arm] = float(line.get_xdata()[0])
                assert list(line.get_ydata()) == value
                assert abs(math.log10(here[arm] / sizes[arm])) < 0.15
        gaps = [math.log10(a / b) for a, b in itertools.permutations(here.values(), 2)]
        assert min(abs(gap) for gap in gaps) > 0.1  # LoRA 1 and SSMLoRA 1 do not hide each other


def test_every_try_is_shown_and_the_best_ringed(results: dict[str, list[Result]]) -> None:
    figure = rates_tried(results["tune"])
    panels = {axes.get_title(): axes for axes in visible(figure)}
    assert list(panels) == ARMS
    rates = {"Full": [5e-5, 1e-4, 2e-4, 4e-4, 8e-4]}
    for arm, axes in panels.items():
        line = line_of(axes, arm)
        tried = rates.get(arm, [5e-4, 1e-3, 2e-3, 4e-3, 8e-3])
        assert np.asarray(line.get_xdata()) == pytest.approx(tried)
        assert [t.get_text() for t in axes.get_xticklabels()][:2] == (
            ["5e-5", "1e-4"] if arm == "Full" else ["5e-4", "1e-3"]
        )
        (ring,) = marked(axes, "best:")
        assert ring.get_xdata()[0] == pytest.approx(tried[3])
        assert ring.get_ydata()[0] == pytest.approx(0.88 - 0.02 * 0.4**2 + 0.005)
        assert sum(len(dots.get_ydata()) for dots in marked(axes, "cells:")) == (
            8 if arm == "Full" else 10
        )
    crosses = [a for a in marked(figure, "failure:") if isinstance(a, Line2D)]
    assert [c.get_gid() for c in crosses] == ["failure:Full:0.0008"]
    assert crosses[0].axes is panels["Full"]


def test_curves_are_means_over_seeds(results: dict[str, list[Result]]) -> None:
    figure = validation_curves(results["seeds"])
    axes = next(a for a in figure.axes if a.get_title() == "128 tokens")
    cells = [r for r in results["seeds"] if r["arm"] == "LoRA 1" and r["length"] == 128]
    ends = [r["curve"][-1]["validation_score"] for r in cells if r["curve"]]
    assert len(ends) == 3
    line = line_of(axes, "LoRA 1")
    assert list(line.get_xdata()) == [176, 344, 512]
    assert line.get_ydata()[-1] == pytest.approx(np.mean(ends))
