"""The search for the longest context whose training step has at most some live bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

Bytes = Callable[[int], int]
"""Live bytes as a function of the length. They grow with it."""

SHORTEST, LONGEST = 64, 2**20
_START, _FACTOR = 2048, 4
_TRIES = 20
_TRUSTED = 1e-4
"""An estimate with an error of at most this share of the limit is right at the next length too."""


def unit(length: float) -> int:
    """The difference of neighbouring lengths that the search tells apart: at most 0.5 %."""
    return 64 if length < 16_384 else 256 * max(1, int(length / 200) // 256)


def longest(exact: Bytes, estimate: Bytes | None, limit: int, most: int = LONGEST) -> int | None:
    """Return the longest length with at most `limit` bytes; None if the shortest has more.

    The answer is a length for which `exact` was computed, and at most one `unit` below the limit.

    Args:
        exact: live bytes; takes seconds.
        estimate: a cheaper function with nearly the same slope; None: there is none.
        limit: bytes that fit.
        most: the longest length that is tried.
    """
    exact = cache(exact)
    if estimate is None:
        return _root(exact, limit, most)
    estimate = cache(estimate)
    low, high, shift = 0, most + unit(most), 0  # `low` fits, `high` does not

    def shifted(length: int) -> int:
        return estimate(length) + shift

    for _ in range(_TRIES):
        guess = _root(shifted, limit, most) or SHORTEST
        guess = max(low + unit(low), min(guess, high - unit(high)))
        shift = exact(guess) - estimate(guess)
        if exact(guess) > limit:
            high = guess
        else:
            low = guess
            trusted = abs(shift) <= _TRUSTED * limit
            if guess >= most or (trusted and shifted(guess + unit(guess)) > limit):
                break
        if high <= SHORTEST or low + unit(low) >= high:
            break
    return low or None


def _root(size: Bytes, limit: int, most: int) -> int | None:
    """Return the longest length (a multiple of its unit) with at most `limit` bytes.

    With fused attention bytes are nearly linear in the length: straight lines lead to the limit
    (the Illinois method), in fewer steps than the methods of scipy.
    """

    @cache
    def over(length: int) -> float:
        return size(length) - limit

    low = high = min(_START, most)
    while over(high) <= 0:
        if high >= most:
            return most
        slope = (over(high) - over(low)) / max(1, high - low)
        ahead = high - over(high) / slope if slope > 0 else high * _FACTOR
        ahead = _on_grid(max(high + unit(high), min(ahead, high * _FACTOR**2)))
        low, high = high, min(ahead, most)
    while over(low) > 0:
        if low <= SHORTEST:
            return None
        low, high = max(low // _FACTOR, SHORTEST), low
    below, above, last = over(low), over(high), 0.0
    while high - low > unit(low):
        length = _on_grid(low + (high - low) * below / (below - above))
        length = max(low + unit(low), min(length, _on_grid(high - 1)))
        found = over(length)
        if found <= 0:  # the other end counts half when one end moves twice
            low, below, above = length, min(found, -1.0), above / (2 if last < 0 else 1)
        else:
            high, above, below = length, found, below / (2 if last > 0 else 1)
        last = -1.0 if found <= 0 else 1.0
    return low


def _on_grid(length: float) -> int:
    step = unit(length)
    return max(SHORTEST, int(length) // step * step)
