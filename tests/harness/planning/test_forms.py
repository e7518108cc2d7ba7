"""The form that a message gives for a value of the wrong form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import main
from harness.planning.forms import comma_in, form_for
from tests.harness.cli.test_bad_input import refused
from tests.harness.conftest import TINY

FORMS = {
    "train.lr=0,001": "(found '0,001'): write 0.001",
    "methods=[{lora: {rank: '4'}}]": "(found '4'): remove the quotes",
    "train.examples='64'": "(found '64'): remove the quotes",
    "lengths=['64']": "lengths.0: input should be a valid integer (found '64'): remove the quotes",
    "lengths=[1e2]": "(found 100.0): write 100",
    "lengths=['1e2']": "(found '1e2'): write 100",
    "lengths=[1_024]": "(found '1_024'): write 1024",
    "lengths=64": "lengths: input should be a valid list (found 64): write [64]",
    "lengths=64, 128": "write [64, 128]",
    "lengths='[64]'": "remove the quotes",
    "seeds=0": "write [0]",
    "tasks=newsgroups": "write [newsgroups]",
    "methods={lora: {}}": "each entry after a dash",
    "limits.cell_seconds=0,5": "(found '0,5'): write 0.5",
    "limits.cell_seconds=1_000": "(found '1_000'): write 1000",
    "train={warmup: 0,5}": "decimals with a point such as 0.5",
    "methods=[{lora: {density: 0,05}}]": "lora.density: a comma ends a value: write decimals with",
    "methods=[{lora: {rank: 4, 8}}]": "[4, 8] for a list",
    "methods=[{ssmlora: {epsilon: '0.01'}}]": "(found '0.01'): remove the quotes",
    "methods=[{lora: {lr: tuned}}]": "write it under train.lr",
    "methods=[{full: {lr: [tuned]}}]": "write it under train.lr",
}


@pytest.mark.parametrize("change", FORMS)
def test_a_value_of_the_wrong_form(
    change: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert FORMS[change] in refused(capsys, "plan", tiny, "--set", change)


@pytest.mark.parametrize(
    ("kind", "given"),
    [("int_from_float", 64.5), ("int_from_float", 1e300), ("int_parsing", "many"),
     ("int_type", True), ("list_type", None), ("list_type", "a\nb"), ("string_type", 3)],
)  # fmt: skip
def test_nothing_is_made_up(kind: str, given: Any) -> None:
    assert form_for(kind, "", given) == ""


def test_digits_behind_a_comma_are_not_guessed() -> None:
    """`0,05` in braces is read as 0 and 5: `0.5` would be another number."""
    told = comma_in({"density": 0, 5: None})
    assert told is not None
    assert "write 0.5" not in told
    assert comma_in({"density": 0.5, 5: 1}) is None


def test_numbers_without_quotes_are_taken(tiny: Path) -> None:
    tiny.write_text(TINY.replace("1.0e-3", "1e-3").replace("density: 0.5", "density: .5"))
    assert main(["plan", str(tiny), "--set", "limits.cell_seconds=6e1"]) == 0
