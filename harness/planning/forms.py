"""Suggests how to write a value that has the wrong form, such as `0,5` for 0.5."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from harness.planning.yaml_files import number_in

_SHORT = 40
"""The longest value, in characters, that a suggestion repeats."""

_EXACT = 2**53
"""Whole numbers below this one are exact as floats."""


_POINT = "decimals with a point such as 0.5"


def form_for(kind: str, reason: str, given: Any) -> str:
    """Return `: write …` for a value that pydantic refused; "" where no form is obvious.

    Args:
        kind: pydantic's type of the error.
        reason: what was expected, in words.
        given: the value.
    """
    if kind == "list_type":
        return _as_list(given)
    if kind == "invalid_key" and _is_number(given):
        return f": write {_POINT}, and a list in brackets such as [4, 8]"
    if kind.startswith("int_"):
        return _as_number(given, whole=True)
    if reason.startswith("expected a number"):
        return _as_number(given, whole=False)
    return ""


def comma_in(settings: Mapping[Any, Any]) -> str | None:
    """Return the key and a suggestion where a decimal comma split a value in braces.

    YAML reads `{density: 0,5}` as `{density: 0, 5: null}`.
    """
    keys = list(settings)
    for before, key in pairwise(keys):
        value = settings[before]
        if not (_is_number(key) and settings[key] is None and _is_number(value)):
            continue
        # The decimals are not repeated in the message: `0,05` was read as 0 and 5.
        return f"{before}: a comma ends a value: write {_POINT}, or [{value}, {key}] for a list"
    return None


def _as_list(given: Any) -> str:
    if isinstance(given, dict):
        return ": write a list, each entry after a dash"
    text = str(given).strip()
    if given is None or isinstance(given, bool) or not text or len(text) > _SHORT:
        return ""
    if not text.isprintable():
        return ""
    if text.startswith("["):
        return ": remove the quotes"
    number = number_in(text)
    return f": write [{_whole(number) if number is not None and _whole(number) else text}]"


def _as_number(given: Any, whole: bool) -> str:
    if isinstance(given, float):
        return f": write {_whole(given)}" if whole and _whole(given) else ""
    if not isinstance(given, str) or len(given) > _SHORT:
        return ""
    text = given.strip()
    number = number_in(text)
    if number is not None:
        if whole and not re.fullmatch(r"[-+]?[0-9]+", text):
            return _as_number(number, whole)
        return ": remove the quotes"
    plain = text.replace("_", "")
    if whole and re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+", plain):
        plain = plain.replace(",", "")
    elif not whole and re.fullmatch(r"[-+]?[0-9]+,[0-9]+", plain):
        plain = plain.replace(",", ".")
    return f": write {plain}" if number_in(plain) is not None else ""


def _whole(number: float) -> str:
    """A whole number without decimals; "" for any other number."""
    return str(int(number)) if abs(number) < _EXACT and number == int(number) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
