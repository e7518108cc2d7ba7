"""Means, intervals and costs, against other ways to the same number and against simulations."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, t

from harness.core.result import CellResult, Predictions
from harness.planning.tuned import choose
from reports.frame import Result, TextValues
from reports.stats import (
    LearningRateTrial,
    at_edge,
    best_trial,
    cost_cells,
    cost_points,
    longest_common,
    one_rate_per_arm,
    score_points,
    trials,
)
from tests.reports.conftest import make_cell, set_validation, tuning_cells

Load = Callable[..., list[Result]]


def scored(value: float, n: int, right: Sequence[bool] = (), **about: Any) -> Result:
    """A result with an accuracy and its Wilson interval, without a file."""
    interval = binomtest(round(value * n), n).proportion_ci(method="wilson")
    marks = [int(r) for r in right]
    answers = Predictions(ids=list(range(len(marks))), labels=[1] * len(marks), predicted=marks)
    row = {
        "kind": "train", "status": "ok", "task": "t", "backbone": "b", "method": "lora",
        "density": 1.0, "arm": "LoRA 1", "length": 64, "seed": 0, "lr": None, "id": "x",
        "validation_score": None, "validation_loss": None, "metric": "accuracy", "score": value,
        "score_low": interval.low, "score_high": interval.high,
        "texts": TextValues(answers, "accuracy"),
    }  # fmt: skip
    return Result(row | about)


def test_one_seed_keeps_the_interval_of_its_file(load: Load) -> None:
    (result,) = load([make_cell(accuracy=0.9)])
    (point,) = score_points([result])["LoRA 1"]
    wilson = binomtest(round(500 * point.value), 500).proportion_ci(method="wilson")
    assert point.value == pytest.approx(result["accuracy"])
    assert (point.low, point.high) == pytest.approx((wilson.low, wilson.high), abs=1e-6)
    assert point.seeds == (result["accuracy"],)


def test_seeds_widen_the_interval_where_texts_are_not_known() -> None:
    values = (0.70, 0.74, 0.78)
    (point,) = score_points([scored(v, 500, seed=k) for k, v in enumerate(values)])["LoRA 1"]
    half = t.ppf(0.975, df=2) * np.std(values, ddof=1) / math.sqrt(3)
    ends = [binomtest(round(500 * v), 500).proportion_ci(method="wilson") for v in values]
    low, high = (np.mean([getattr(e, end) for e in ends]) for end in ("low", "high"))
    assert point.value == pytest.approx(0.74)
    assert point.low == pytest.approx(0.74 - math.hypot(0.74 - low, half))
    assert point.high == pytest.approx(0.74 + math.hypot(high - 0.74, half))
    assert point.seeds == values


def test_the_interval_of_a_mean_covers_the_truth() -> None:
    """Seeds differ, and all of them are judged on the same texts: 95 % must hold for both."""
    draw = np.random.default_rng(5)
    covered, widths, without, rounds = 0, 0.0, 0.0, 200
    for _ in range(rounds):
        hard = draw.normal(size=150)  # the same texts for every seed
        shift = draw.normal(scale=0.25, size=3)
        cells = []
        for seed in range(3):
            right = draw.random(150) < 1 / (1 + np.exp(-(1.2 + shift[seed] + 1.5 * hard)))
            cells.append(scored(float(right.mean()), 150, right.tolist(), seed=seed))
        (point,) = score_points(cells)["LoRA 1"]
        covered += point.low <= TRUTH <= point.high
        widths += point.high - point.low
        (apart,) = score_points([r.changed(texts=TextValues(Predictions(), None)) for r in cells])[
            "LoRA 1"
        ]
        without += apart.high - apart.low
    assert 0.93 < covered / rounds < 0.99
    assert widths < 0.9 * without  # noise that is counted once makes narrower intervals


def _truth() -> float:
    draw = np.random.default_rng(0)
    sample = 1.2 + draw.normal(scale=0.25, size=400_000) + 1.5 * draw.normal(size=400_000)
    return float((1 / (1 + np.exp(-sample))).mean())


TRUTH = _truth()


def test_failed_cells_and_cells_without_a_test_give_no_point(load: Load) -> None:
    cells = [make_cell(length=64), make_cell(length=128, status="oom")]
    cells.append(make_cell(length=256, accuracy=None))
    points = score_points(load(cells))
    assert {arm: [p.length for p in series] for arm, series in points.items()} == {"LoRA 1": [64]}


def tried(load: Load, outcomes: dict[float, list[tuple[float | None, float]]]) -> list[Result]:
    """Cells of one arm: at each rate (validation accuracy or None for a failure, test)."""
    cells = []
    for lr, found in outcomes.items():
        for seed, (validation, test) in enumerate(found):
            status = "diverged" if validation is None else "ok"
            cell = make_cell(lr=lr, seed=seed, accuracy=test, status=status)
            if validation is not None:
                set_validation(cell, validation)
            cells.append(cell)
    return load(cells)


def test_a_rate_is_chosen_on_validation_never_on_test(load: Load) -> None:
    cells = tried(load, {1e-3: [(0.90, 0.70)], 2e-3: [(0.80, 0.99)]})
    assert {r["lr"] for r in one_rate_per_arm(cells)} == {1e-3}
    (point,) = score_points(cells)["LoRA 1"]
    assert point.value == pytest.approx(0.70)


def test_a_failed_cell_counts_as_zero_for_its_rate(load: Load) -> None:
    cells = tried(load, {1e-3: [(0.80, 0.8), (0.82, 0.8)], 2e-3: [(0.99, 0.9), (None, 0.9)]})
    (rates,) = trials(cells).values()
    assert [t.score for t in rates] == pytest.approx([0.81, 0.495])
    assert rates[1].failures == ("diverged",)
    assert best_trial(rates).lr == 1e-3


def test_the_rate_with_the_lowest_loss_is_chosen_whatever_its_score() -> None:
    rates = [
        LearningRateTrial(1e-3, (0.95,), (), 0.40),
        LearningRateTrial(2e-3, (0.9,), (), 0.35),
        LearningRateTrial(4e-3, (0.9,), ()),
    ]
    assert best_trial(rates).lr == 2e-3
    assert best_trial(rates[:1] + rates[2:]).lr == 1e-3


def test_the_edge_of_what_was_tried() -> None:
    rates = [
        LearningRateTrial(1e-3, (0.8,), (), 0.5),
        LearningRateTrial(2e-3, (0.9,), (), 0.4),
        LearningRateTrial(4e-3, (0.7,), (), 0.6),
    ]
    assert not at_edge(rates)
    assert at_edge(rates[1:])
    assert at_edge(rates[:2])
    assert not at_edge(rates[:1])


def test_the_report_and_the_tuned_file_choose_the_same_rates(load: Load) -> None:
    draw = random.Random(3)
    cells = tuning_cells(seeds=3)
    for cell in cells:
        if cell["status"] == "ok":
            set_validation(cell, draw.choice([0.80, 0.81]), draw.random())
    results = [CellResult.model_validate(cell) for cell in cells]
    chosen = {(e.arm["method"], e.arm["density"]): e.lr for e in choose(results).entries}
    kept = one_rate_per_arm(load(cells))
    assert {(r["method"], r["density"]): r["lr"] for r in kept} == chosen
    assert len(kept) == 3 * len(chosen)


def test_baselines_and_probes_are_no_tries(load: Load) -> None:
    cells = [make_cell(), make_cell("tfidf"), make_cell(kind="probe", lr=1e-4)]
    assert {arm: [t.lr for t in found] for arm, found in trials(load(cells)).items()} == {
        "LoRA 1": [2e-3]
    }


def test_costs_come_from_probes_where_there_are_any(load: Load) -> None:
    train = [make_cell("full"), make_cell("tfidf")]
    probes = [make_cell("full", kind="probe"), make_cell(kind="probe", status="oom")]
    assert {r["arm"] for r in cost_cells(load(train))} == {"Full"}
    results = load([*train, *probes])
    assert {r["kind"] for r in cost_cells(results)} == {"probe"}
    points = cost_points(results, "train_peak_bytes")
    assert list(points) == ["Full"]
    assert points["Full"][0].value == probes[0]["cost"]["train_peak_bytes"]


def test_a_cost_is_the_median_with_the_widest_spread(load: Load) -> None:
    cells = []
    for seed, (low, middle, high) in enumerate([(90, 100, 110), (180, 200, 220), (110, 120, 400)]):
        cost = {
            "train_tokens_per_s": middle,
            "train_tokens_per_s_low": low,
            "train_tokens_per_s_high": high,
        }
        cells.append(make_cell(kind="probe", seed=seed, cost=cost))
    (point,) = cost_points(load(cells), "train_tokens_per_s")["LoRA 1"]
    assert (point.value, point.low, point.high) == (120, 90, 400)
    cells[0]["cost"]["train_tokens_per_s_low"] = None
    (point,) = cost_points(load(cells), "train_tokens_per_s")["LoRA 1"]
    assert point.low == 100


def test_the_longest_length_that_most_arms_reached(load: Load) -> None:
    cells = [make_cell("full", length=n, kind="probe") for n in (64, 128)]
    cells += [make_cell(length=n, kind="probe") for n in (64, 128, 256)]
    cells += [make_cell("ssmlora", length=n, kind="probe") for n in (64, 128, 256, 512)]
    series = cost_points(load(cells), "train_tokens_per_s")
    assert longest_common(series) == 128
    assert longest_common({arm: series[arm] for arm in ("LoRA 1", "SSMLoRA 1")}) == 256
    assert longest_common({}) is None
