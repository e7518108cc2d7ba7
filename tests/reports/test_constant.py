"""The best constant answer: a test score, from the file or, for old files, from their labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports.frame import Result
from reports.sections.accuracy import constant_caption, constant_points
from tests.reports.conftest import make_cell
from tests.reports.faces import accuracy_by_length, group
from tests.reports.made import loss_cells
from tests.reports.pages import report, section

pytestmark = pytest.mark.filterwarnings("error")
Load = Callable[..., list[Result]]


def scored(length: int = 64, majority: float | None = 0.63, **more: Any) -> dict[str, Any]:
    return make_cell(length=length, **{"accuracy": 0.6, **more}, scores={"majority": majority})


def old(length: int = 64, train_share: float = 0.547) -> dict[str, Any]:
    """From before the field: the share among the training texts, and the labels of the test."""
    cell = make_cell(length=length, accuracy=0.6, test_examples=100, data={"majority": train_share})
    cell["format"] = 1
    del cell["scores"]["majority"]
    cell["predictions"]["labels"] = [0] * 63 + [1] * 37
    return cell


def line_of(axes: Axes) -> Line2D:
    (line,) = [line for line in axes.lines if line.get_gid() == "constant"]
    return line


def test_the_line_is_the_test_score_and_in_sight_above_the_arms(load: Load) -> None:
    axes = accuracy_by_length(load([scored(64), scored(128)])).axes[0]
    line = line_of(axes)
    assert set(np.asarray(line.get_ydata()).tolist()) == {0.63}
    assert "test" in str(line.get_label())
    low, high = axes.get_ylim()
    assert low < 0.63 < high
    far = accuracy_by_length(load([scored(n, 0.9, accuracy=0.6) for n in (64, 128)])).axes[0]
    assert far.get_ylim()[0] < 0.9 < far.get_ylim()[1]
    line_of(far)


def test_old_files_do_not_draw_the_share_of_the_training_texts(load: Load) -> None:
    (result,) = load([old()])
    assert result["majority"] == 0.63
    assert 0.547 not in np.asarray(line_of(accuracy_by_length([result]).axes[0]).get_ydata())


def test_old_files_of_other_metrics_have_none(load: Load) -> None:
    cell = old()
    cell["scores"] |= {"metric": "micro_f1", "accuracy": None}
    cell["predictions"]["labels"] = [[0, 1]] * 100
    (result,) = load([cell])
    assert result["majority"] is None


@pytest.mark.parametrize("labels", [None, [], [None] * 100, ["a"] * 100, [True] * 100])
def test_labels_that_are_none_settle_nothing(load: Load, labels: Any) -> None:
    cell = old()
    cell["predictions"]["labels"] = labels
    (result,) = load([cell])
    assert result["majority"] is None


def test_null_is_kept_and_not_computed(load: Load) -> None:
    (result,) = load([scored(majority=None)])
    assert result["majority"] is None
    assert constant_points([result]) == {}
    assert constant_caption(group([result])) == ""


def test_lengths_with_other_test_texts_have_their_own_value(load: Load) -> None:
    found = load([scored(64, 0.55), scored(128, 0.58)])
    line = line_of(accuracy_by_length(found).axes[0])
    assert np.asarray(line.get_xdata()).tolist() == [64, 128]
    assert np.asarray(line.get_ydata()).tolist() == [0.55, 0.58]
    assert "0.550 at 64, 0.580 at 128" in constant_caption(group(found))


def test_other_metrics_have_it_too(load: Load) -> None:
    cell = scored()
    cell["scores"] |= {"metric": "micro_f1", "accuracy": None}
    (result,) = load([cell])
    assert constant_points([result]) == {64: 0.63}


def test_the_page_says_it_in_caption_and_alternative(tmp_path: Path) -> None:
    root = report(tmp_path, [scored(64), scored(128)])
    (image, *_) = section(root, "accuracy").all("img")
    (caption, *_) = section(root, "accuracy").all("figcaption")
    for told in (image.attributes["alt"], caption.text):
        assert "Best constant answer on the test texts: 0.630" in told
    assert "majority class" not in root.text


def test_losses_have_none(load: Load) -> None:
    found = load(loss_cells())
    assert constant_points(found) == {}
    assert not [x for x in accuracy_by_length(found).axes[0].lines if x.get_gid() == "constant"]
