"""Losses: no share, the lower the better. Every verdict, best and figure turns round for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from harness.core.metrics import METRICS
from reports.compare import NO_TEXTS
from reports.effective import effective_lengths
from reports.frame import Result, write_csv
from reports.sections.accuracy import score_by_length
from reports.sections.overview import readme_table, summary_table
from reports.stats import (
    LearningRateTrial,
    at_edge,
    best_trial,
    cost_cells,
    metric_of,
    score_points,
    trials,
)
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import (
    comparison,
    group,
    load_run,
    loaded,
    overview_of,
    rates_tried,
    rows_of,
)
from tests.reports.made import loss_cell, loss_cells

pytestmark = pytest.mark.filterwarnings("error")

Load = Callable[..., list[Result]]
LOSS = METRICS["loss"]


def shifted(by: float, n: int = 100, spread: float = 0.01) -> list[float]:
    """Losses of texts that differ far more among each other than from one arm to another."""
    draw = np.random.default_rng(round(1000 * by) + n)
    hard = np.random.default_rng(0).normal(scale=0.5, size=n)
    return [float(v) for v in 3.5 + by + hard + spread * draw.normal(size=n)]


def test_losses_are_not_cut_to_shares(load: Load) -> None:
    (result,) = load([loss_cell(texts=[0.1, 0.3, 6.0])])
    ((point,),) = score_points([result]).values()
    assert point.value == pytest.approx(6.4 / 3)
    assert point.low == 0.0  # a loss is not negative
    assert point.high == pytest.approx(result["score_high"])
    assert point.high > 4
    assert result["perplexity"] == pytest.approx(math.exp(6.4 / 3))
    assert metric_of([result]) is LOSS


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("scores", "score", -0.1), ("scores", "score", 1e7), ("scores", "score", "low"),
        ("scores", "perplexity", -1.0), ("scores", "by_position", {"a": 1}),
        ("scores", "by_position", [3]), ("scores", "by_position", [{"start": 0}] * 100),
        ("scores", "by_position", [{"start": 16, "end": 16, "loss": 1.0}]),
        ("scores", "by_position", [{"start": 0, "end": 16, "loss": -1.0}]),
        ("scores", "by_position", [{"start": 0, "end": 2, "loss": 1.0}] * 2),
        ("scores", "secondary", {"exact_match": "all"}), ("scores", "secondary", 3),
    ],
)  # fmt: skip
def test_what_no_loss_can_be_is_refused(tmp_path: Path, section: str, key: str, value: Any) -> None:
    cell = loss_cell()
    cell[section][key] = value
    run = load_run(write_run(tmp_path, [cell]))
    assert run.results == []
    assert key in run.unreadable[0][1]


def test_a_score_above_one_is_a_loss_or_nothing(tmp_path: Path) -> None:
    cell = loss_cell()
    cell["scores"]["metric"] = "accuracy"
    run = load_run(write_run(tmp_path, [cell]))
    ((name, reason),) = run.unreadable
    assert name == f"{cell['id']}.json"
    assert "outside the range of accuracy" in reason


def test_numbers_that_are_none_leave_a_bin_or_a_perplexity_out(tmp_path: Path) -> None:
    cell = loss_cell(length=64)
    cell["scores"]["by_position"][1]["loss"] = float("nan")
    cell["scores"]["perplexity"] = float("inf")
    (result,) = load_run(write_run(tmp_path, [cell])).results
    assert [(one.start, one.end) for one in result["by_position"]] == [(0, 16), (32, 64)]
    assert result["perplexity"] == pytest.approx(math.exp(result["score"]))


def test_a_study_without_a_metric_is_known_by_its_two_equal_numbers(load: Load) -> None:
    cell = make_cell(accuracy=None, format=1)
    cell["scores"] = {"validation_score": 3.5, "validation_loss": 3.5}
    (result,) = load([cell])
    assert (result["metric"], result["validation_score"]) == ("loss", 3.5)
    cell["scores"] = {"validation_score": 0.5, "validation_loss": 0.6}
    assert load([cell])[0]["metric"] is None


def test_texts_are_paired_by_their_own_losses(load: Load) -> None:
    a, b = shifted(0.0), shifted(0.02)
    first, second = load([loss_cell("full", texts=a), loss_cell("lora", texts=b)])
    points = score_points([first, second])
    found = comparison(group([first, second]), "Full", "LoRA 1").interval
    assert found is not None
    interval = ttest_rel(a, b).confidence_interval(0.95)
    assert found == pytest.approx((interval.low, interval.high))
    assert found[1] - found[0] < 0.1 * (points["Full"][0].high - points["Full"][0].low)


@pytest.mark.parametrize("scores", [None, [1.0], ["x"] * 100, [math.nan] * 100, [-1.0] * 100])
def test_scores_of_texts_that_are_none_pair_nothing(load: Load, scores: Any) -> None:
    cells = [loss_cell("full", texts=shifted(0)), loss_cell("lora", texts=shifted(0.02))]
    cells[0]["predictions"]["scores"] = scores
    first, second = load(cells)
    found = comparison(group([first, second]), "Full", "LoRA 1")
    assert first["texts"].values == {}
    assert (found.reason, found.interval, found.verdict) == (NO_TEXTS, None, "none")


def test_a_loss_saturates_where_no_longer_length_lowers_it(load: Load) -> None:
    cells = [
        loss_cell(length=n, texts=shifted(by + s / 1000), seed=s)
        for n, by in ((64, 0.3), (128, 0.1), (256, 0.0), (512, 0.001))
        for s in range(4)
    ]
    found = group(load(cells))
    assert comparison(found, "LoRA 1").verdict == "better"
    assert effective_lengths(found) == {"LoRA 1": 256}
    cells = [
        loss_cell(length=n, texts=shifted(n / 100 + s / 1000), seed=s)
        for n in (64, 128)
        for s in range(4)
    ]
    rising = group(load(cells))
    assert comparison(rising, "LoRA 1").verdict == "worse"
    assert effective_lengths(rising) == {"LoRA 1": 64}


def test_the_rate_with_the_lowest_loss_is_best_and_a_failure_the_worst(load: Load) -> None:
    cells = []
    for lr, losses in ((1e-3, (3.0, 3.2)), (2e-3, (2.5, None)), (4e-3, (3.4, 3.3))):
        for seed, loss in enumerate(losses):
            status = "ok" if loss else "diverged"
            cells.append(loss_cell(lr=lr, seed=seed, loss=loss or 0.0, status=status))
    (rates,) = trials(load(cells)).values()
    assert [t.score for t in rates] == pytest.approx([3.13, math.inf, 3.38])
    assert best_trial(rates).lr == 1e-3
    assert at_edge(rates)
    better = [
        LearningRateTrial(lr, (loss,), (), loss, metric=LOSS)
        for lr, loss in ((1, 3.0), (2, 2.9), (3, 3.1))
    ]
    assert best_trial(better).lr == 2
    assert not at_edge(better)
    ring = [a for a in rates_tried(load(cells)).findobj() if a.get_gid() == "best:LoRA 1"]
    assert list(ring[0].get_xdata()) == [1e-3]  # type: ignore[attr-defined]


def test_verdicts_turn_round(load: Load, tmp_path: Path) -> None:
    cells = [
        loss_cell(method, length=length, texts=shifted(by + step + seed / 1000), seed=seed)
        for method, by in (("full", 0.0), ("lora", 0.2), ("base", 1.0))
        for length, step in ((64, 0.3), (128, 0.0))
        for seed in range(1 if method == "base" else 4)
    ]
    found = {(r["Arm"], r["minus"]): r["128 tokens"]
             for r in rows_of(overview_of(load(cells)), "minus")}  # fmt: skip
    assert list(found) == [("Full", "Base"), ("LoRA 1", "Base"), ("Full", "LoRA 1")]
    assert found["Full", "LoRA 1"].startswith("−0.199 (")
    assert all(text.endswith(", better") for text in found.values())
    report = loaded(write_run(tmp_path / "a", cells))
    trends = rows_of(score_by_length(report), "Effective length")
    assert {row["Effective length"] for row in trends} == {"128 (longest)"}
    for row in trends:
        assert float(row["Change"].split()[0].replace("−", "-")) == pytest.approx(-0.3, abs=0.01)
        assert row["Change"].endswith(", falls (better)")


def test_tables_name_the_unit_and_hold_the_perplexity(tmp_path: Path) -> None:
    folder = write_run(tmp_path, loss_cells())
    ((caption, table),) = summary_table(folder)
    assert caption.startswith("kernel, minilm: test loss (nats per token) by length")
    by_arm = {row["Arm"]: row for row in table}
    assert list(by_arm)[-1] == "Base"
    assert by_arm["Full"]["512 tokens"] == "oom"
    value = float(by_arm["LoRA 1"]["512 tokens"])
    told = float(by_arm["LoRA 1"]["Perplexity at 256"])
    assert by_arm["Base"]["Train tokens/s at 256"] == ""
    assert math.log(told) == pytest.approx(float(by_arm["LoRA 1"]["256 tokens"]), abs=0.01)
    assert 3 < value < 4
    assert "Perplexity at 256" in readme_table(folder)
    head, *lines = write_csv(folder).read_text().splitlines()
    assert "perplexity" in head.split(",")
    assert len(lines) == 18


def test_references_cost_nothing_and_try_nothing(load: Load) -> None:
    cells = [loss_cell(), loss_cell("base")]
    cells[1]["cell"]["lr"] = 1e-3
    results = load(cells)
    assert {r["arm"] for r in cost_cells(results)} == {"LoRA 1"}
    assert list(trials(results)) == ["LoRA 1"]
