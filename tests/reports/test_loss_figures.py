"""Figures and page of losses: units, references, colours, loss by position."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.frame import Result
from tests.reports.conftest import make_cell
from tests.reports.faces import (
    accuracy_by_density,
    accuracy_by_length,
    accuracy_by_parameters,
    loss_by_position,
    position_curves,
    validation_curves,
)
from tests.reports.made import loss_cell, loss_cells
from tests.reports.pages import check_harmless, report, rows, section

pytestmark = pytest.mark.filterwarnings("error")

Load = Callable[..., list[Result]]


def test_figures_name_the_unit_and_keep_to_the_data(load: Load) -> None:
    results = load(loss_cells())
    figure = accuracy_by_length(results)
    axes = figure.axes[0]
    assert axes.get_ylabel() == "Test loss (nats per token)"
    low, high = axes.get_ylim()
    assert 2.5 < low < high < 4.5
    (legend,) = figure.legends
    assert legend.get_texts()[-1].get_text() == "Base (zero-shot)"
    (base,) = [line for line in axes.lines if line.get_gid() == "arm:Base"]
    assert base.get_color() == "#6b6b6b"
    assert base.is_dashed()
    sizes = accuracy_by_parameters(results).axes
    assert sizes[0].get_ylabel() == "Test loss\n(nats per token)"
    lines = [line for line in sizes[0].lines if line.get_gid() == "arm:Base"]
    assert [list(line.get_xdata()) for line in lines] == [[0, 1]]  # across, no marker at 0
    curves = validation_curves(results)
    assert curves.axes[0].get_ylabel() == "Validation loss\n(nats per token)"
    assert not [a for a in curves.findobj() if a.get_gid() == "arm:Base"]


def test_a_base_far_off_is_named_and_flattens_nothing(load: Load) -> None:
    cells = [loss_cell(m, length=n) for m in ("full", "lora") for n in (64, 128)]
    cells += [loss_cell("base", length=n, loss=10.4) for n in (64, 128)]
    axes = accuracy_by_length(load(cells)).axes[0]
    assert axes.get_ylim()[1] < 5
    assert [t.get_text() for t in axes.texts] == ["Base (zero-shot): 10.40, above this axis"]
    assert not [line for line in axes.lines if line.get_gid() == "arm:Base"]
    alone = accuracy_by_length(load(cells[-2:])).axes[0]
    assert [line for line in alone.lines if line.get_gid() == "arm:Base"]


def test_better_is_lighter_on_the_map(load: Load) -> None:
    def light(cells: list[dict[str, Any]]) -> dict[int, float]:
        axes = accuracy_by_density(load(cells)).axes[0]
        return {
            round(p.get_x() + 0.5): sum(p.get_facecolor()[:3])  # type: ignore[attr-defined]
            for p in axes.patches
            if round(p.get_y() + 0.5) == 0  # type: ignore[attr-defined]
        }

    places = [(d, n) for d in (1.0, 0.5) for n in (64, 128)]
    losses = light([loss_cell("lora", d, n, loss=3 + n / 64) for d, n in places])
    shares = light([make_cell("lora", d, n, accuracy=n / 200) for d, n in places])
    assert losses[0] > losses[1]
    assert shares[0] < shares[1]
    figure = accuracy_by_density(load([loss_cell("lora", d, n) for d, n in places]))
    assert figure.axes[-1].get_ylabel() == "Test loss\n(nats per token)"


def test_loss_by_position_stands_at_the_longest_length(load: Load) -> None:
    results = load(loss_cells())
    longest, curves = position_curves(results)
    assert longest == 512
    assert list(curves) == ["LoRA 1", "LoRA 1/2", "SSMLoRA 1", "SSMLoRA 1/2", "Base"]
    axes = loss_by_position(results).axes[0]
    assert axes.get_xlabel() == "Position in the text (tokens)"
    assert axes.get_ylabel() == "Test loss (nats per token)"
    assert [t.get_text() for t in axes.get_xticklabels()] == [
        "0–15", "16–31", "32–63", "64–127", "128–255", "256–511",
    ]  # fmt: skip
    (line,) = [a for a in axes.lines if a.get_gid() == "arm:LoRA 1"]
    cell = next(r for r in results if r["arm"] == "LoRA 1" and r["length"] == 512)
    assert list(line.get_ydata()) == [one.loss for one in cell["by_position"]]
    assert np.diff(np.log2(np.asarray(line.get_xdata(), float))) == pytest.approx(1.0)
    assert "failure:Full:512:oom" in [t.get_gid() for t in axes.texts]
    seeds = [loss_cell(seed=s, texts=[s + 3.0] * 9) for s in (0, 1)]
    _, mean = position_curves(load(seeds))
    losses = [cell["scores"]["by_position"][0]["loss"] for cell in seeds]
    assert mean["LoRA 1"][0].loss == pytest.approx(sum(losses) / 2)


def test_the_page_of_losses(tmp_path: Path) -> None:
    root = report(tmp_path, loss_cells())
    check_harmless(root)
    assert "by sequence length" in section(root, "accuracy").text
    assert "Effective length" in section(root, "accuracy").text
    assert "Lighter is better." in section(root, "density").text
    assert "zero-shot" in section(root, "accuracy").text.lower()
    (picture,) = section(root, "position").all("img")
    assert "LoRA 1: " in picture.attributes["alt"]
    (numbers,) = section(root, "position").all("table")
    assert rows(numbers)[0] == ["Arm", "0–15", "16–31", "32–63", "64–127", "128–255", "256–511"]
    head = rows(section(root, "cells").all("table")[0])[0]
    assert "Perplexity" in head
    assert "ROUGE-L" not in head
    (main,) = root.all("main")
    assert "accurac" not in re.sub(r"\(accuracy-[a-z-]+\.png\)", "", main.text)


def test_the_page_says_which_tokens_are_scored(tmp_path: Path) -> None:
    cells = [loss_cell("lora", length=n) for n in (128, 512)]
    assert "Scored at every length" not in report(tmp_path / "front", cells).text
    for cell in cells:
        cell["cell"] |= {"window": 512, "target_tokens": 64}
    text = section(report(tmp_path / "window", cells), "accuracy").text
    assert "Scored at every length: the same 64 tokens of each text, up to token 512" in text
