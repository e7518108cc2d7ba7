"""The search on functions whose answer is known, and how often it asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.costs.search import LONGEST, SHORTEST, longest, unit

FUNCTIONS: dict[str, Callable[[int], int]] = {
    "linear": lambda n: 1000 + 7 * n,
    "quadratic": lambda n: 1000 + 7 * n + n * n // 50,
    "flat at first": lambda n: max(30_000, 500 + 9 * n),
    "another operator at the peak": lambda n: max(20_000 + n, 3 * n, n * n // 900),
    "steps": lambda n: 1000 + 900 * (n // 128),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("limit", [31_000, 200_000, 5_000_000])
@pytest.mark.parametrize("slope", [0.1, 0.9, 1.0, 1.3, 4.0])
def test_longest_length_that_fits(name: str, limit: int, slope: float) -> None:
    asked = []

    def exact(length: int) -> int:
        asked.append(length)
        return FUNCTIONS[name](length)

    for estimate in (None, lambda n: int(slope * FUNCTIONS[name](n)) + 1):
        asked.clear()
        found = longest(exact, estimate, limit)
        assert found in asked
        assert FUNCTIONS[name](found) <= limit < FUNCTIONS[name](found + unit(found))
        if estimate:
            assert len({*asked}) <= (1 if slope == 1 else 14)


def test_ends_of_the_search() -> None:
    assert longest(FUNCTIONS["linear"], None, 1000 + 7 * SHORTEST - 1) is None
    assert longest(FUNCTIONS["linear"], FUNCTIONS["linear"], 1000 + 7 * SHORTEST) == SHORTEST
    assert longest(FUNCTIONS["linear"], None, 10**9) == LONGEST
    assert longest(FUNCTIONS["linear"], lambda n: 2 * n, 10**9, most=5000) == 5000
