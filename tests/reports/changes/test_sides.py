"""What a side of a comparison is, which cells match, and which settings differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput
from reports.changes.sides import differences, matched, only, outcomes, read_side
from tests.reports.conftest import make_cell, write_run


def cells(**environment: Any) -> list[dict[str, Any]]:
    made = [make_cell("lora", length=n) for n in (64, 128)] + [make_cell("full")]
    for cell in made:
        cell["environment"] |= environment
    return made


def sides(tmp_path: Path, a: list[dict[str, Any]], b: list[dict[str, Any]]) -> Any:
    write_run(tmp_path / "a", a)
    write_run(tmp_path / "b", b)
    return read_side("A", str(tmp_path / "a")), read_side("B", str(tmp_path / "b"))


def test_a_side_may_be_the_cells_of_one_commit_machine_or_version(tmp_path: Path) -> None:
    made = cells()
    made[0]["environment"] |= {"commit": "feedbeefcafe", "torch": "2.12.0"}
    made[1]["environment"] |= {"host": "aa11"}
    run = write_run(tmp_path / "run", made)
    for selection in ("commit=feed", "torch=2.12"):
        side = read_side("A", f"{run}@{selection}")
        assert [r["id"] for r in side.results] == [made[0]["id"]]
        assert side.missing == 0
    assert [r["length"] for r in read_side("A", f"{run}@host=aa").results] == [128]
    with pytest.raises(BadInput, match="0123456789ab and feedbeefcafe"):
        read_side("A", f"{run}@commit=12")
    with pytest.raises(BadInput, match=r"by 'comit'.*Did you mean 'commit'"):
        read_side("A", f"{run}@comit=12")


def test_a_selection_finds_cells_of_an_earlier_version_of_the_sweep(tmp_path: Path) -> None:
    made = cells()
    made[0]["protocol"] = 3
    run = write_run(tmp_path / "run", made, ids=[cell["id"] for cell in made[1:]])
    assert len(read_side("A", str(run)).results) == 2
    assert [r["protocol"] for r in read_side("A", f"{run}@protocol=3").results] == [3]


def test_a_folder_may_have_the_sign_of_a_selection_in_its_name(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a@torch=2", cells())
    assert len(read_side("A", str(run)).results) == 3


@pytest.mark.parametrize(("name", "message"), [("none", "no such folder"), ("empty", "no")])
def test_a_side_without_results_is_refused(tmp_path: Path, name: str, message: str) -> None:
    write_run(tmp_path / "empty", [])
    with pytest.raises(BadInput, match=message):
        read_side("A", str(tmp_path / name))


def test_settings_that_differ_are_listed_with_their_arms(tmp_path: Path) -> None:
    b = cells(torch="2.14.0", started="2031-01-01T00:00:00+00:00")
    for cell in b:
        cell["cell"]["epochs"] = 2
    b[2]["cell"]["lr"] = 1e-5
    b.append(make_cell("lora", length=64, seed=1))
    left, right = sides(tmp_path, cells(), b)
    found = {one.name: one for one in differences(left, right, matched(left, right))}
    assert [*found] == ["seeds", "epochs", "lr", "torch"]
    assert (found["epochs"].a, found["epochs"].b, found["epochs"].where) == ("1", "2", "all")
    assert (found["lr"].a, found["lr"].b, found["lr"].where) == ("0.002", "1e-05", "Full")
    assert (found["seeds"].a, found["seeds"].b) == ("0", "0, 1")


def test_equal_sides_have_no_difference(tmp_path: Path) -> None:
    left, right = sides(tmp_path, cells(), cells())
    pairs = matched(left, right)
    assert len(pairs) == 3
    assert differences(left, right, pairs) == []
    assert only(left, right) == {}
    assert outcomes(pairs) == []


def test_cells_of_one_side_and_other_outcomes(tmp_path: Path) -> None:
    b = [make_cell("lora", length=64, status="oom"), make_cell("lora", length=256)]
    left, right = sides(tmp_path, cells(), b)
    assert [(key[3], key[4], seeds) for key, seeds in only(left, right).items()] == [
        ("Full", 128, [0]), ("LoRA 1", 128, [0]),
    ]  # fmt: skip
    assert [key[4] for key in only(right, left)] == [256]
    (one,) = outcomes(matched(left, right))
    assert (one.cell["length"], one.a, one.b) == (64, "ok", "oom")


def test_several_rates_of_an_arm_match_by_rate(tmp_path: Path) -> None:
    a = [make_cell(lr=lr) for lr in (1e-3, 2e-3)]
    b = [make_cell(lr=lr) for lr in (2e-3, 4e-3)]
    left, right = sides(tmp_path, a, b)
    assert [(x["lr"], y["lr"]) for x, y in matched(left, right)] == [(2e-3, 2e-3)]
