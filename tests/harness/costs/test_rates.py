"""Times from work: the fit recovers known rates, and devices have those of their data sheets."""

from __future__ import annotations

import random

import pytest

from harness.costs.devices import DEVICES, find_device
from harness.costs.rates import LAUNCH, Point, fitted, roofline
from harness.costs.shapes import Work

SECONDS = (1.5e-11, 8e-12, 2e-10, 5e-6)


def points(noise: float = 0.0) -> list[Point]:
    made = random.Random(0)
    found = []
    for _ in range(16):
        amounts = [int(made.uniform(0.1, 1) * size) for size in (1e10, 1e10, 1e8, 5000)]
        names = ("matmul_flops", "attention_flops", "moved_bytes", "operators")
        work = Work(**dict(zip(names, amounts, strict=True)))
        exact = sum(a * s for a, s in zip(amounts, SECONDS, strict=True))
        found.append(
            Point(work=work, wall=exact * (1 + made.uniform(-noise, noise)), cpu=2 * exact)
        )
    return found


def test_the_fit_recovers_the_rates() -> None:
    rates = fitted(points())
    assert rates.seconds == pytest.approx(SECONDS, rel=1e-6)
    assert rates.error == pytest.approx(0, abs=1e-6)
    assert fitted(points(), "cpu").seconds[0] == pytest.approx(2 * SECONDS[0])


def test_the_error_is_that_of_points_left_out() -> None:
    error = fitted(points(0.2)).error
    assert error
    assert 0.05 < error < 0.4


def test_a_device_has_the_rates_of_its_data_sheet() -> None:
    rates = roofline(DEVICES["a100-80"], "bfloat16")
    assert rates
    work = Work(matmul_flops=int(312e12), attention_flops=0, moved_bytes=0, operators=1)
    assert rates.time(work) == pytest.approx(1)
    small = work.model_copy(update={"matmul_flops": 10, "operators": 20_000})
    assert rates.time(small) == pytest.approx(20_000 * LAUNCH)
    assert roofline(find_device("24GiB", ""), "bfloat16") is None
