"""docs/methods.md has a row for every method of the installed PEFT, from what PEFT does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.cli.methods_page import main, methods_page
from harness.core.methods import FULL, HEAD
from harness.planning.arms import check_method
from harness.planning.sweep import Sweep
from harness.training.peft_methods import REFUSED, peft_classes, peft_method

PAGE = Path(__file__).parents[3] / "docs" / "methods.md"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables() -> list[dict[str, list[str]]]:
    """The rows of each table; of several rows with the same name, the last."""
    found = []
    for part in methods_page().split("\n## "):
        rows = [line for line in part.splitlines() if line.startswith("| `")]
        cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
        found.append({first.strip("` "): rest for first, *rest in cells})
    return found


def test_every_method_has_a_row(tables: list[dict[str, list[str]]]) -> None:
    methods, _, refused = tables
    assert {*methods, *refused} == {*peft_classes(), FULL, HEAD}
    assert {*refused} == {*REFUSED}
    assert {name: why for name, (why,) in refused.items()} == REFUSED


def test_an_entry_is_accepted_as_it_is_written(tables: list[dict[str, list[str]]]) -> None:
    for name, (entry, *_) in tables[0].items():
        methods = yaml.safe_load(entry.strip("`"))
        sweep = Sweep.model_validate(
            {"name": "x", "backbone": "y", "methods": methods, "probe": {"lengths": [8]}}
        )
        assert sweep.methods[0].type == name
        check_method(sweep.methods[0], "")


def test_a_row_says_what_the_method_has(tables: list[dict[str, list[str]]]) -> None:
    methods = {name: row[1:] for name, row in tables[0].items()}
    assert methods["lora"] == ["", "yes", "8", "16", "", "yes"]
    assert methods["vera"] == ["", "yes", "256", "", "", "yes"]
    assert methods["beft"] == ["", "yes", "", "", "", "encoder"]
    assert methods["ssmlora"] == ["", "yes", "8", "16", "", "no"]
    assert methods["lily"][4:] == ["`micro_batch`, `packing`", "no"]
    assert methods["cpt"] == ["language model", "no", "", "", "`packing`, `loss: chunked`", "no"]
    for name in set(methods) - {FULL, HEAD}:
        if peft_method(name).is_prompt:
            assert methods[name][1:4] == ["no", "", ""]
            assert methods[name][5] == "no"


def test_the_page_in_the_repository_is_up_to_date() -> None:
    assert main(["--check", str(PAGE)]) == 0
