"""YAML from users: the scalars of YAML 1.2, and back again."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.planning.yaml_files import dump_yaml, number_in, parse_yaml

SCALARS: dict[str, Any] = {
    "0032": 32,
    "0064": 64,
    "-0012": -12,
    "0o17": 15,
    "0x10": 16,
    "1e-2": 0.01,
    "1E5": 1e5,
    "1.5e+3": 1500.0,
    ".5": 0.5,
    "1.": 1.0,
    ".inf": math.inf,
    "true": True,
    "False": False,
    "~": None,
    "null": None,
    "": None,
    # What YAML 1.1 makes numbers, truths and dates of.
    "1_000": "1_000",
    "1:30": "1:30",
    "0b11": "0b11",
    "no": "no",
    "Yes": "Yes",
    "on": "on",
    "y": "y",
    "2026-11-28": "2026-11-28",
    "'0032'": "0032",
    '"1e-2"': "1e-2",
}


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-2", 0.01), ("0064", 64), ("+.5E1", 5), ("1_000", None), ("1:30", None), ("inf", None),
     ("0x10", None), ("", None), ("١", None), (" 1", None)],
)  # fmt: skip
def test_a_text_is_a_number_by_the_same_rules(text: str, number: float | None) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize("text", SCALARS)
def test_scalars_are_those_of_yaml_1_2(text: str) -> None:
    found = parse_yaml(f"[{text}]" if text else "- ", "file")[0]
    assert (found, type(found)) == (SCALARS[text], type(SCALARS[text]))


@pytest.mark.parametrize(
    "value",
    [
        "0032",
        "1e-2",
        "no",
        "1:30",
        "0o17",
        "2026-11-28",
        "~",
        "",
        "true",
        "a: b",
        "é",
        32,
        1e-12,
        None,
    ],
)
def test_what_is_written_is_read_as_the_same(value: Any) -> None:
    (found,) = parse_yaml(dump_yaml({"key": value}), "file").values()
    assert (found, type(found)) == (value, type(value))
