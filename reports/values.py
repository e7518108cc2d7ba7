"""Values from files that anyone may have written: each is checked for its type and range."""

from __future__ import annotations

import math
from typing import Any

LONGEST = 500
"""Characters of a text that are kept; what is longer is cut with an ellipsis."""

_SHARES = frozenset(
    ("density", "accuracy", "accuracy_low", "accuracy_high", "score", "score_low", "score_high",
     "macro_f1", "validation_accuracy", "validation_score", "majority", "truncated", "rouge_l",
     "exact_match", "reach")
)  # fmt: skip
_SCORES = frozenset(("score", "score_low", "score_high", "validation_score"))

LOSSES = 1e6
"""What no loss in nats per token comes near: a number beyond it is none."""

_SIGNED = frozenset(("seed", "validation_loss"))


class Malformed(Exception):
    """What is wrong with a cell file, in a few words."""


def number(value: Any) -> float | None:
    """A finite number as float, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and abs(value) >= 2**63:
        return None
    return float(value) if math.isfinite(value) else None


def clean(value: Any) -> str:
    """A text that can stand anywhere: no control signs, no half characters, of bounded length."""
    text = str(value)
    text = "".join(c if c.isprintable() else " " for c in text[: LONGEST + 1])
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def column(section: dict[str, Any], key: str, kind: type, loss: bool = False) -> Any:
    """The value of a column, or None where there is none (NaN included).

    `loss`: the scores of this file are losses, which are no shares.

    Raises:
        Malformed: the value is not what this column can hold.
    """
    value = section.get(key)
    if value is None:
        return None
    if kind is str:
        return clean(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{key} is not a number")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if abs(value) >= 2**63 and (kind is int or isinstance(value, int)):
        raise Malformed(f"{key} is too large")
    if value < 0 and key not in _SIGNED:
        raise Malformed(f"{key} is negative")
    if loss and key in _SCORES:
        if value > LOSSES:
            raise Malformed(f"{key} is no loss in nats per token")
    elif value > 1 and key in _SHARES:
        raise Malformed(f"{key} is more than 1")
    if kind is int and value != int(value):
        raise Malformed(f"{key} is not a whole number")
    return int(value) if kind is int else float(value)
