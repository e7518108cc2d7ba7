"""Ratios of step times within rounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.core.timing import Timing, paired_ratios


def test_a_known_ratio_comes_back_though_rounds_differ() -> None:
    rounds = np.exp(np.random.default_rng(0).normal(0, 0.5, 20))  # common to both arms
    found = paired_ratios({"a": [*rounds], "b": [*(1.25 * rounds)]}, "a")
    assert found["b"] == pytest.approx((1.25, 1.25, 1.25, 20))
    assert found["a"] == (1, 1, 1, 20)


def test_a_disturbed_round_changes_little() -> None:
    times = np.exp(np.random.default_rng(1).normal(0, 0.01, (2, 10)))
    times[1, 3] *= 50
    ratio = paired_ratios({"a": [*times[0]], "b": [*times[1]]}, "a")["b"]
    assert ratio.low < 1 < ratio.high
    assert ratio.half_width < 0.03


@pytest.mark.parametrize(("arms", "rounds"), [(2, 3), (2, 20), (7, 3), (7, 8)])
def test_intervals_contain_the_truth_in_95_per_cent(arms: int, rounds: int) -> None:
    random = np.random.default_rng(2)
    hits = total = 0
    for _ in range(200):
        noise = np.exp(0.05 * random.standard_t(5, (arms, rounds)))
        found = paired_ratios({str(i): [*own] for i, own in enumerate(noise)}, "0")
        hits += sum(ratio.low <= 1 <= ratio.high for arm, ratio in found.items() if arm != "0")
        total += arms - 1
    assert 0.91 <= hits / total <= 0.99


def test_one_round_has_no_interval_and_no_round_no_ratio() -> None:
    (_, ratio) = paired_ratios({"a": [2.0], "b": [3.0]}, "a").values()
    assert ratio == (1.5, 1.5, 1.5, 1)
    assert math.isinf(ratio.half_width)
    assert paired_ratios({"a": [], "b": []}, "a") == {}
    assert Timing().seconds("train") == []
