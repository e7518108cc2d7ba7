"""Contrasts, families of tests and power, against known intervals, counts and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from benchmarks.null_trials import MARGIN, Row, rate
from harness.core import inference
from harness.core.inference import Array, SeedPart, decide, estimate, power, slope

random = np.random.default_rng(0)


def test_deterministic_arms_have_the_paired_interval_over_texts() -> None:
    a, b = random.normal(size=(2, 1, 80))
    found = estimate([a, -b], trained=0)
    interval = ttest_rel(a[0], b[0]).confidence_interval(0.95)
    half = float(found.half_width())
    assert (found.value - half, found.value + half) == pytest.approx((interval.low, interval.high))
    assert found.decided
    assert float(found.differs()) == pytest.approx(ttest_rel(a[0], b[0]).pvalue)


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 3, 100), (0, 0, 50), (40, 38, 500)])
def test_right_or_wrong_answers_have_bonett_and_prices_variance(
    gained: int, lost: int, n: int
) -> None:
    a = np.array([[1.0] * gained + [0.0] * lost + [1.0] * (n - gained - lost)])
    b = np.array([[0.0] * gained + [1.0] * lost + [1.0] * (n - gained - lost)])
    p, q = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    found = estimate([a, -b], trained=0, swing=1.0)
    assert float(found.spread()[0]) == pytest.approx(
        math.sqrt((p + q - (p - q) ** 2) / (n + 2)), rel=0.01
    )
    assert float(found.differs()) > 0.05 or gained > 3 * lost


def test_the_seeds_of_an_arm_that_has_no_noise_of_texts_are_a_sample() -> None:
    seeds = np.array([0.81, 0.84, 0.80, 0.86])
    found = estimate([np.repeat(seeds[:, None], 50, axis=1)])
    interval = ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert float(found.half_width()) == pytest.approx((interval.high - interval.low) / 2)


def test_the_variance_of_texts_and_seeds_is_counted_once() -> None:
    """The mean of the estimated variances is the variance of the estimates."""
    rounds, seeds, texts = 2000, 4, 60
    hard = random.normal(size=(rounds, 1, texts))
    arms = []
    for sign in (1, -1):
        own = 0.1 * random.normal(size=(rounds, 1, texts))  # the arm's own hard texts
        chance = 0.05 * random.normal(size=(rounds, seeds, 1))
        arms.append(sign * (hard + own + chance + 0.4 * random.normal(size=(rounds, seeds, texts))))
    found = estimate(arms)
    error, _ = found.spread()
    assert (error**2).mean() == pytest.approx(found.value.var(), rel=0.1)
    covered = np.abs(found.value) <= found.half_width()
    assert 0.935 < covered.mean() < 0.975


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_are_not_tested(seeds: int) -> None:
    far = np.ones((seeds, 50)) + 0.01 * random.normal(size=(seeds, 50))
    found = estimate([far])
    assert not found.decided
    assert found.arms == ()
    assert decide([found], [0.02]) == [(np.False_, np.False_)]
    assert float(found.half_width()) > 0


def noisy(value: float, error: float, seeds: int = 5) -> Array:
    """Scores with this mean, and this standard error if seeds alone had noise."""
    chance = random.normal(size=(seeds, 1))
    chance = (chance - chance.mean()) / chance.std(ddof=1) * error * math.sqrt(seeds)
    return np.asarray(value + np.repeat(chance, 200, axis=1))


def test_a_difference_must_be_clearer_in_a_larger_family() -> None:
    clear, rest = estimate([noisy(0.04, 0.01)]), [estimate([noisy(0.005, 0.01)])] * 20
    assert decide([clear], [0.02])[0][0]
    assert not decide([clear, *rest], [0.02] * 21)[0][0]


def test_equivalence_is_shown_and_not_the_absence_of_a_difference() -> None:
    narrow, wide = estimate([noisy(0.004, 0.002)]), estimate([noisy(0.004, 0.02)])
    assert [bool(within) for _, within in decide([narrow, wide], [0.02, 0.02])] == [True, False]
    small = estimate([noisy(0.012, 0.001)])
    assert all(decide([small], [0.02])[0])  # a difference, but within the margin
    assert not decide([estimate([noisy(0.012, 0.001)])], [0.005])[0][1]


def test_holm_by_hand() -> None:
    p = np.array([0.01, 0.2, 0.013, 0.04])
    assert inference._holm(p, most=4, level=0.05).tolist() == [True, False, True, False]
    assert inference._holm(p, most=2, level=0.05).tolist() == [True, False, True, False]
    assert inference._holm(np.array([0.02, 0.03, 0.9, 0.9]), 2, 0.05).tolist() == [
        True, False, False, False,
    ]  # fmt: skip
    both = np.stack([p, p[::-1]])
    assert inference._holm(both, 4, 0.05)[1].tolist() == [False, True, False, True]


def test_a_slope_is_the_change_over_the_whole_range() -> None:
    assert slope([64, 256]) == pytest.approx([-1, 1])
    weights = np.array(slope([64, 128, 1024]))
    assert weights.sum() == pytest.approx(0)
    assert weights @ np.array([0.5, 0.6, 0.9]) == pytest.approx(0.4)  # 0.1 for each doubling


def test_power_is_that_of_other_numbers_of_seeds_and_texts() -> None:
    def sample(seeds: int, texts: int) -> inference.Estimate:
        draw = np.random.default_rng(seeds)
        chance = 0.03 * draw.normal(size=(400, seeds, 1))
        text = 0.3 * draw.normal(size=(400, 1, texts))
        return estimate([chance + text + 0.2 * draw.normal(size=(400, seeds, texts))])

    few, many, long = sample(4, 300), sample(12, 300), sample(4, 900)
    for other, told in ((many, few.spread(seeds=12)[0]), (long, few.spread(texts=900)[0])):
        assert told.mean() == pytest.approx(other.spread()[0].mean(), rel=0.06)
    one = estimate([0.03 * random.normal(size=(4, 1)) + 0.3 * random.normal(size=(1, 300))])
    assert power([one], 0.05, 0.02).seeds is None  # the texts alone leave more
    found = power([one], 0.05, 0.06)
    assert found.seeds is not None
    assert float(one.half_width(0.05, found.seeds)) <= 0.06
    assert found.seeds == 3 or float(one.half_width(0.05, found.seeds - 1)) > 0.06


NULL = Row(0.89, 5, 0.015, shared=False)


def test_reports_of_equal_arms_contain_few_false_claims() -> None:
    assert rate("false claims", NULL, 200) <= 0.1  # 5 % and four standard errors
    assert rate("false claims", Row(0.89, 1, 0.015), 20) == 0
    assert rate("false claims", Row(0.87, 5, 0.0, gap=MARGIN), 100) <= 0.12


def test_a_true_gap_is_found() -> None:
    assert rate("found", Row(0.875, 5, 0.015, arms=2, gap=0.03), 100) >= 0.55


def test_false_claims_are_seen_without_the_variance_of_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without(y: Array) -> SeedPart:
        none = np.zeros(y.shape[:-2])
        return SeedPart(none, none, y.shape[-2])

    monkeypatch.setattr(inference, "_seed_part", without)
    assert rate("false claims", NULL, 50) > 0.3


def test_false_claims_are_seen_without_a_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "_holm", lambda p, most, level: p <= level)
    assert rate("false claims", NULL, 50) > 0.2
