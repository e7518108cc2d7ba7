"""Differences between accuracies and where they stop to grow, against counts and simulations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from reports.compare import Difference, difference, growth
from reports.frame import Result
from reports.stats import Point, score_points
from tests.reports.conftest import make_cell, wilson

Load = Callable[..., list[Result]]


def of(right: Sequence[bool], name: str = "t") -> tuple[list[Result], Point]:
    """A cell with these outcomes, text by text, and its point."""
    marks = [bool(r) for r in right]
    value = sum(marks) / len(marks)
    low, high = wilson(value, len(marks))
    correct = {f"{name}{i}": r for i, r in enumerate(marks)}
    return [
        Result(
            {"id": "x", "seed": 0, "metric": "accuracy", "correct": correct, "example_scores": {}}
        )
    ], Point(64, value, low, high, (value,))


def gap(a: Sequence[bool], b: Sequence[bool]) -> Difference:
    (first, p), (second, q) = of(a), of(b)
    return difference(first, second, p, q)


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 3, 100), (0, 0, 50), (40, 38, 500)])
def test_the_interval_is_bonett_and_prices(gained: int, lost: int, n: int) -> None:
    a = [True] * gained + [False] * lost + [True] * (n - gained - lost)
    b = [False] * gained + [True] * lost + [True] * (n - gained - lost)
    found = gap(a, b)
    p, q = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = 1.959964 * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    assert found.paired
    assert found.value == pytest.approx((gained - lost) / n)
    assert (found.low, found.high) == pytest.approx((p - q - half, p - q + half))


def test_the_paired_interval_covers_the_truth_and_is_the_narrower_one() -> None:
    draw = np.random.default_rng(1)
    covered, narrower, rounds = 0, 0, 400
    for _ in range(rounds):
        hard = draw.normal(size=200)
        a = hard + 0.3 * draw.normal(size=200) < 1.0
        b = hard + 0.3 * draw.normal(size=200) < 0.8
        found = gap(a.tolist(), b.tolist())
        (first, p), (second, q) = of(a.tolist()), of(b.tolist(), name="u")
        apart = difference(first, second, p, q)
        covered += found.low <= PAIR_TRUTH <= found.high
        narrower += found.high - found.low < apart.high - apart.low
        assert found.paired
        assert not apart.paired
    assert 0.93 < covered / rounds < 0.98
    assert narrower == rounds


def _pair_truth() -> float:
    """P(x < 1.0) - P(x < 0.8) for x normal with variance 1 + 0.3²."""
    scale = math.sqrt(1 + 0.3**2) * math.sqrt(2)
    return 0.5 * (math.erf(1.0 / scale) - math.erf(0.8 / scale))


PAIR_TRUTH = _pair_truth()


def test_the_same_answers_are_no_difference() -> None:
    found = gap([True, False] * 50, [True, False] * 50)
    assert found.value == 0.0
    assert found.low == pytest.approx(-found.high)
    assert found.verdict == "unclear"


def test_a_verdict_needs_the_whole_interval_on_one_side() -> None:
    assert Difference(0.1, 0.01, 0.2, True).verdict == "higher"
    assert Difference(-0.1, -0.2, -0.01, True).verdict == "lower"
    assert Difference(0.1, -0.01, 0.2, True).verdict == "unclear"


def test_swapping_the_two_turns_the_interval_round() -> None:
    a, b = [True] * 80 + [False] * 20, [True] * 60 + [False] * 40
    there, back = gap(a, b), gap(b, a)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert (there.verdict, back.verdict) == ("higher", "lower")


def test_independent_samples_combine_their_intervals() -> None:
    (first, p), (second, q) = of([True] * 80 + [False] * 20), of([True] * 60 + [False] * 40, "u")
    found = difference(first, second, p, q)
    assert not found.paired
    assert found.low == pytest.approx(0.2 - math.hypot(p.value - p.low, q.high - q.value))
    assert found.high == pytest.approx(0.2 + math.hypot(p.high - p.value, q.value - q.low))


def test_seeds_that_read_different_texts_are_not_paired() -> None:
    (one, p), (two, _) = of([True] * 50 + [False] * 50), of([True] * 60 + [False] * 40, "u")
    other, q = of([True] * 70 + [False] * 30)
    assert not difference([*one, *two], other, p, q).paired
    assert difference([*one, *one], other, p, q).paired


def test_the_spread_of_seeds_widens_a_difference() -> None:
    (first, p), (second, q) = of([True] * 80 + [False] * 20), of([True] * 70 + [False] * 30)
    alone = difference(first, second, p, q)
    spread = difference(first, second, Point(64, p.value, p.low, p.high, (), 0.03), q)
    assert (spread.high - spread.low) / 2 == pytest.approx(
        math.hypot((alone.high - alone.low) / 2, 0.03)
    )


def grown(load: Load, *rights: int, n: int = 400, steps: Sequence[int] = ()) -> list[Result]:
    """One arm at doubling lengths; the first `right` texts are right at each."""
    lengths = steps or [64 * 2**k for k in range(len(rights))]
    return load(
        make_cell(length=length, accuracy=right / n, correct=[i < right for i in range(n)])
        for length, right in zip(lengths, rights, strict=True)
    )


def test_accuracy_saturates_where_no_longer_length_beats_it(load: Load) -> None:
    (found,) = growth(grown(load, 240, 300, 340, 342))
    assert [(a, b) for a, b, _ in found.steps] == [(64, 128), (128, 256), (256, 512)]
    assert [d.verdict for *_, d in found.steps] == ["higher", "higher", "unclear"]
    assert (found.plateau, found.rises, found.to_the_end) == (256, True, False)


def test_accuracy_that_rises_to_the_end(load: Load) -> None:
    (found,) = growth(grown(load, 240, 300, 340))
    assert (found.plateau, found.rises, found.to_the_end) == (256, True, True)


def test_flat_and_falling_accuracies_do_not_rise(load: Load) -> None:
    for rights in ((300, 301, 300), (340, 300, 240)):
        (found,) = growth(grown(load, *rights))
        assert (found.plateau, found.rises, found.to_the_end) == (64, False, False)


def test_a_slow_rise_counts_though_no_step_is_clear(load: Load) -> None:
    (found,) = growth(grown(load, 300, 303, 306, 309, 312))
    assert {d.verdict for *_, d in found.steps} == {"unclear"}
    assert found.rises
    assert found.plateau > 64


def test_the_plateau_by_brute_force(load: Load) -> None:
    rights = (200, 240, 236, 300, 290, 305)
    results = grown(load, *rights)
    points = score_points(results)["LoRA 1"]
    cells = {r["length"]: r for r in results}
    beaten = {
        a.length
        for a, b in itertools.combinations(points, 2)
        if difference([cells[b.length]], [cells[a.length]], b, a).low > 0
    }
    (found,) = growth(results)
    assert found.plateau == min(p.length for p in points if p.length not in beaten)


def test_one_length_has_no_growth(load: Load) -> None:
    assert growth(grown(load, 300)) == []
