"""Number and text types of result files. Files may come from anyone: each value is checked."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

LONGEST_TEXT = 500
"""Characters of a text that are kept; a longer text ends with an ellipsis."""

LARGEST_SCORE = 1e6
"""No loss in nats per token and no other score comes near this number."""

_INT64 = 2**63


def number(value: Any) -> float | None:
    """Return a finite number as float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and abs(value) >= _INT64:
        return None
    return float(value) if math.isfinite(value) else None


def counted(amount: int, noun: str) -> str:
    """Return `1 cell` or `2 cells`."""
    return f"{amount:,} {noun}{'s' * (amount != 1)}"


def clean(value: Any) -> str:
    """Return a printable text of at most `LONGEST_TEXT` characters."""
    text = str(value)
    if len(text) <= LONGEST_TEXT and text.isprintable():  # nearly all are
        return text
    text = "".join(c if c.isprintable() else " " for c in text[: LONGEST_TEXT + 1])
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _numeric(value: Any) -> Any:
    """A number, or None for None, NaN and infinity."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if abs(value) >= _INT64:
        raise ValueError("is too large")
    return value


def _whole(value: float | None) -> int | None:
    if value is not None and (value != int(value) or abs(value) >= _INT64):
        raise ValueError("is not a whole number")
    return None if value is None else int(value)


def _not_negative(value: float | None) -> float | None:
    if value is not None and value < 0:
        raise ValueError("is negative")
    return value


def _at_most_one(value: float | None) -> float | None:
    if value is not None and value > 1:
        raise ValueError("is more than 1")
    return value


def _bounded(value: float | None) -> float | None:
    if value is not None and abs(value) > LARGEST_SCORE:
        raise ValueError("is too large")
    return value


_Float = Annotated[float | None, BeforeValidator(_numeric)]
Real = Annotated[_Float, AfterValidator(_bounded)]
"""A score or a loss; None where there is none."""
Amount = Annotated[_Float, AfterValidator(_not_negative)]
"""A time, a rate: zero or more."""
Share = Annotated[Amount, AfterValidator(_at_most_one)]
"""A fraction between 0 and 1."""
Count = Annotated[
    int | None,
    BeforeValidator(_whole),
    BeforeValidator(_not_negative),
    BeforeValidator(_numeric),
]
"""A number of things, tokens or bytes."""
Text = Annotated[str | None, BeforeValidator(lambda v: None if v is None else clean(v))]
"""A printable text of bounded length."""
Words = Annotated[str, BeforeValidator(lambda v: clean(v or ""))]
"""A printable text; empty where there is none."""
