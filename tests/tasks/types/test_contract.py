"""What an example must be: each way of being something else is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks import Example, Family, Splits
from tasks.contract import fault, first_fault
from tests.made_up import metadata

RIGHT: list[tuple[Family, Example]] = [
    ("classification", Example("x", "text", 2)),
    ("classification", Example("x", "", np.int64(1))),  # type: ignore[arg-type]
    ("pair", Example("x", "text", 0, "other")),
    ("multilabel", Example("x", "text", -1, labels=())),
    ("multilabel", Example("x", "text", -1, labels=(0, 2))),
    ("choice", Example("x", "text", 1, "which?", choices=("one", "two"))),
    ("generation", Example("x", "text", -1, "what?", answers=("that",))),
    ("language_modelling", Example("x", "text", -1)),
]


@pytest.mark.parametrize(("family", "example"), RIGHT)
def test_what_is_right(family: Family, example: Example) -> None:
    assert fault(metadata(family), example) == ""


@pytest.mark.parametrize(
    ("family", "change", "told"),
    [
        ("classification", {"label": 3}, "a label out of range: 3, not one of 0 to 2"),
        ("classification", {"label": -1}, "a label out of range: -1"),
        ("classification", {"label": "1"}, "a label out of range: '1'"),
        ("classification", {"label": None}, "a label out of range: None"),
        ("classification", {"text": b"text"}, "a text of type bytes"),
        ("pair", {"second": None}, "a text of type NoneType"),
        ("multilabel", {"labels": (0, 3)}, "a label out of range: 3"),
        ("choice", {"label": 2}, "a label out of range: 2, not one of 0 to 1"),
        ("choice", {"choices": ("one", 2)}, "a text of type int"),
        ("generation", {"answers": ("that", float("nan"))}, "a text of type float"),
        ("language_modelling", {"text": None}, "a text of type NoneType"),
    ],
)
def test_what_is_wrong(family: Family, change: dict[str, Any], told: str) -> None:
    right = next(example for own, example in RIGHT if own == family)
    assert fault(metadata(family), right._replace(**change)).startswith(f"has {told}")


def test_the_first_that_is_wrong_is_named() -> None:
    right = Example("x", "text", 1, "which?", choices=("one", "two"))
    more = right._replace(choices=("one", "two", "three"))
    about = metadata("choice")
    assert first_fault(about, Splits([right], [], [right] * 3)) == ""
    wrong = "all examples need the same number of choices, two or more: "
    assert first_fault(about, Splits([right], [right, more], [])) == wrong + "[2, 3]"
    alone = right._replace(label=0, choices=("one",))
    assert first_fault(about, Splits([alone], [], [])) == wrong + "[1]"
    late = Splits([*[right] * 5, right._replace(label=9)], [], [])
    assert first_fault(about, late, most=5) == ""
    assert first_fault(about, late).startswith("example 6 of train has a label out of range")
