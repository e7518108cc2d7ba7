"""How figures look: nothing overlaps, all is legible, and the same data gives the same picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports.axes import dodge
from reports.figures.marks import ink_on
from reports.figures.printed import DPI, as_png
from reports.frame import Result
from reports.style import arm_styles
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import (
    accuracy_by_density,
    accuracy_by_length,
    accuracy_by_parameters,
    evaluation_by_length,
    length_matrix,
    load_run,
    loss_by_position,
    memory_by_length,
    rates_tried,
    score_by_evidence,
    throughput_by_length,
    validation_curves,
)

pytestmark = pytest.mark.filterwarnings("error")

Draw = Callable[[Sequence[Result]], Figure]
Load = Callable[..., list[Result]]


def visible(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def contrast(ink: str, ground: tuple[float, ...]) -> float:
    def light(colour: tuple[float, ...]) -> float:
        parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    a, b = light(mpl.colors.to_rgb(ink)), light(ground[:3])
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def test_texts_on_colours_can_be_read() -> None:
    for value in np.linspace(0, 1, 101):
        colour = mpl.colormaps["cividis"](value)
        assert contrast(ink_on(colour), colour) >= 4.5


ALL: list[tuple[str, Draw]] = [
    *((run, draw) for run in ("train", "seeds") for draw in (
        accuracy_by_length, accuracy_by_density, accuracy_by_parameters, validation_curves)),
    ("probe", memory_by_length), ("probe", throughput_by_length), ("tune", rates_tried),
    ("tune", validation_curves), ("tune", memory_by_length), ("tune", throughput_by_length),
    *(("losses", draw) for draw in (
        accuracy_by_length, accuracy_by_density, accuracy_by_parameters, validation_curves,
        loss_by_position)),
    ("study", rates_tried), ("evaluations", evaluation_by_length("ruler_vt")),
    ("further", length_matrix), ("further", score_by_evidence),
]  # fmt: skip


def boxes(artists: Sequence[Artist], figure: Figure) -> Iterator[tuple[str, Any]]:
    for artist in artists:
        box = artist.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
        if artist.get_visible() and box.width > 0:
            yield (artist.get_text() if isinstance(artist, Text) else type(artist).__name__), box


@pytest.mark.parametrize(("run", "draw"), ALL, ids=[f"{d.__name__}-{r}" for r, d in ALL])
def test_nothing_overlaps_and_nothing_is_cut_off(
    results: dict[str, list[Result]], run: str, draw: Draw
) -> None:
    figure = draw(results[run])
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    texts: list[Artist] = []
    for axes in visible(figure):
        for place, axis in enumerate((axes.xaxis, axes.yaxis)):
            low, high = sorted(axis.get_view_interval())
            labels = axis.get_ticklabels()
            texts += [t for t in labels if low <= t.get_position()[place] <= high]
            texts.append(axis.label)
        texts.append(axes.title)
        texts += axes.texts
    texts += figure.texts
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    texts = [t for t in texts if isinstance(t, Text) and t.get_text() and t.get_visible()]
    found = list(boxes(texts, figure))
    assert len(found) > 10
    for (a, first), (b, second) in itertools.combinations(found, 2):
        assert not first.shrunk(0.9, 0.9).overlaps(second.shrunk(0.9, 0.9)), (a, b)
    for text, box in found:
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text
        assert box.y1 <= figure.bbox.height + 1, text
    for _, legend in boxes(figure.legends, figure):
        for axes in visible(figure):
            assert not legend.overlaps(axes.get_window_extent()), "the legend covers a panel"
    smallest = min(t.get_fontsize() for t in texts if isinstance(t, Text))
    assert smallest >= 5.0  # points, at the width of a paper's column


@pytest.mark.parametrize("run", ["laptop", "tune"])
def test_the_same_input_gives_the_same_png(results: dict[str, list[Result]], run: str) -> None:
    draw = accuracy_by_length if run == "laptop" else memory_by_length
    first = as_png(draw(results[run]))
    settings = {"font.size": 20, "savefig.facecolor": "red", "savefig.bbox": "tight",
                "lines.linewidth": 9, "axes.grid": False}  # fmt: skip
    with mpl.rc_context(settings):
        second = as_png(draw(list(reversed(results[run]))))
        assert mpl.rcParams["font.size"] == 20
    assert first == second
    width, height = (int.from_bytes(first[at : at + 4], "big") for at in (16, 20))
    assert 3.4 * DPI <= width <= 6.9 * DPI
    assert height < 9 * DPI


def test_arms_are_told_apart_without_colour_and_keep_their_look(
    results: dict[str, list[Result]],
) -> None:
    styles = arm_styles(results["train"])
    looks = [(s.marker, str(s.line), s.hollow) for arm, s in styles.items() if arm != "TF-IDF"]
    assert len(set(looks)) == len(looks)
    assert len({s.marker for arm, s in styles.items() if arm != "TF-IDF"}) == len(looks)
    for style in styles.values():
        assert contrast("white", mpl.colors.to_rgb(style.colour)) >= 3.0
    few = [r for r in results["train"] if r["arm"] in ("LoRA 1/2", "SSMLoRA 1")]
    assert arm_styles(few) == {arm: styles[arm] for arm in ("LoRA 1/2", "SSMLoRA 1")}


def test_variants_of_one_density_differ_in_more_than_their_name(load: Load) -> None:
    cells = [make_cell("ssmlora", 0.5)]
    for n, name in enumerate(("SSMLoRA 1/2 first", "SSMLoRA 1/2 even", "SSMLoRA 1/2 r32")):
        cells.append(make_cell("ssmlora", 0.5, arm=name, id=f"variant{n}"))
    styles = arm_styles(load(cells))
    assert len({(s.marker, s.hollow) for s in styles.values()}) == 4
    assert not styles["SSMLoRA 1/2"].hollow
    assert styles["SSMLoRA 1/2 r32"].hollow


def test_a_method_of_another_kind_has_a_look_of_its_own(load: Load) -> None:
    cells = [make_cell(m, arm=m.upper(), id=m) for m in ("ia3", "vera", "lora")]
    styles = arm_styles(load(cells))
    assert len({s.colour for s in styles.values()}) == 3
    assert len({s.marker for s in styles.values()}) == 3


def test_points_keep_to_their_own_length() -> None:
    for count in (1, 2, 6, 12):
        for room in (1.0, 0.4):
            places = [math.log2(dodge(k, count, room)) for k in range(count)]
            assert max(places) - min(places) < 0.6 * room
            assert sum(places) == pytest.approx(0, abs=1e-9)


def test_signs_in_names_are_drawn_as_they_are(load: Load) -> None:
    names = ["$x$ {{7*7}}", r"$\frac{", "a_b^c", "<b>"]
    cells = [make_cell(arm=name, id=f"n{k}") for k, name in enumerate(names)]
    cells += [make_cell(arm=names[0], id="n9", length=256, status="oom")]
    figure = accuracy_by_length(load(cells))
    as_png(figure)
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == set(names)
    assert not any(text.get_parse_math() for text in legend.get_texts())


@pytest.mark.parametrize("draw", dict.fromkeys(d for _, d in ALL), ids=lambda d: d.__name__)
def test_nothing_to_draw_is_no_error(load: Load, draw: Draw) -> None:
    for cells in ([], [make_cell(status="oom")], [make_cell(accuracy=None, curve=[], cost=None)]):
        draw(load(cells)).draw_without_rendering()


def test_one_arm_of_one_size_can_be_drawn(load: Load) -> None:
    axes = accuracy_by_parameters(load([make_cell(length=n) for n in (64, 128)])).axes[0]
    low, high = axes.get_xlim()
    assert low < 75_868 < high


def test_names_that_the_font_lacks_make_no_noise(load: Load) -> None:
    assert as_png(accuracy_by_length(load([make_cell(arm="方法 ภาษา")])))


def test_the_figures_of_many_lengths_can_be_read(load: Load) -> None:
    lengths = (64, 96, 128, 192, 256, 384, 512, 1024, 2048)
    cells = [make_cell(m, d, n) for n in lengths for m in ("lora", "ssmlora") for d in (1.0, 0.5)]
    figure = accuracy_by_density(load(cells))
    figure.draw_without_rendering()
    for axes in figure.axes[:2]:
        found = list(boxes(axes.texts, figure))
        assert len(found) == 18
        for (a, first), (b, second) in itertools.combinations(found, 2):
            assert not first.overlaps(second), (a, b)


def test_png_files_are_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = load_run(write_run(tmp_path / "run", [make_cell()]))
    assert as_png(accuracy_by_length(run.results))
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
