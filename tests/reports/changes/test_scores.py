"""Scores of two runs: paired by seed and text where both are equal, else by text only."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from reports.changes.changes import Changes, changes_between
from reports.changes.scores import OTHER_DATA, OTHER_TOKENS, ScoreChange
from reports.compare import FEW_SEEDS, NO_TEXTS
from tests.reports.conftest import write_run
from tests.reports.made import arm, loss_cell

TEXTS = 60
LEVELS = (3.0, 3.3, 2.7, 2.9, 3.2, 3.1)
"""Mean loss by seed."""


def texts(seed: int, shift: float = 0.0, run: int = 0) -> list[float]:
    """Losses of seeds differ by some tenths, those of two runs of one seed by .02."""
    hard, noise = random.Random(1), random.Random(f"{seed} {run}")
    return [
        LEVELS[seed] + shift + 0.5 * hard.gauss(0, 1) + 0.02 * noise.gauss(0, 1)
        for _ in range(TEXTS)
    ]


def run(seeds: tuple[int, ...], shift: float = 0.0, number: int = 0) -> list[dict[str, Any]]:
    return [loss_cell("lora", seed=s, texts=texts(s, shift, number)) for s in seeds]


def between(tmp_path: Path, a: list[dict[str, Any]], b: list[dict[str, Any]]) -> Changes:
    write_run(tmp_path / "a", a)
    write_run(tmp_path / "b", b)
    return changes_between(str(tmp_path / "a"), str(tmp_path / "b"))


def only_score(found: Changes) -> ScoreChange:
    (one,) = found.scores
    return one


def test_equal_seeds_and_texts_are_paired(tmp_path: Path) -> None:
    one = only_score(between(tmp_path, run((0, 1, 2)), run((0, 1, 2), 0.05, 1)))
    assert one.paired
    assert one.verdict == "worse"
    assert one.found.value == pytest.approx(0.05, abs=0.01)
    assert one.found.interval is not None
    assert one.found.interval[0] > 0.03
    assert one.b is not None
    assert one.a is not None
    assert one.b - one.a == pytest.approx(one.found.value)


def test_other_seeds_are_not_paired(tmp_path: Path) -> None:
    one = only_score(between(tmp_path, run((0, 1, 2)), run((3, 4, 5), 0.05, 1)))
    assert not one.paired
    assert one.verdict == "undecided"
    assert one.found.interval is not None
    assert one.found.interval[1] - one.found.interval[0] > 0.3


def test_further_seeds_of_one_side_do_not_count(tmp_path: Path) -> None:
    one = only_score(between(tmp_path, run((0, 1, 2)), run((0, 1, 2, 3), 0.05, 1)))
    assert one.found.seeds == {0, 1, 2}
    assert one.verdict == "worse"


def test_equal_results_are_comparable(tmp_path: Path) -> None:
    found = between(tmp_path, run((0, 1, 2)), run((0, 1, 2)))
    assert only_score(found).verdict == "comparable"
    assert only_score(found).found.value == 0
    assert found.regressions == 0


def test_fewer_than_three_seeds_have_no_verdict(tmp_path: Path) -> None:
    one = only_score(between(tmp_path, run((0, 1)), run((0, 1), 0.5, 1)))
    assert (one.verdict, one.found.reason) == ("none", FEW_SEEDS)
    assert one.found.interval is not None
    two = only_score(between(tmp_path / "other", run((0,)), run((1,), 0.5, 1)))
    assert (two.verdict, two.found.reason) == ("none", FEW_SEEDS)


def test_a_model_without_training_needs_no_seeds(tmp_path: Path) -> None:
    sides = [[loss_cell("base", texts=texts(0, shift))] for shift in (0.0, 0.1)]
    assert only_score(between(tmp_path, *sides)).verdict == "worse"


def test_other_data_and_other_tokens_are_not_compared(tmp_path: Path) -> None:
    data, tokens = run((0, 1, 2)), run((0, 1, 2))
    for cell in data:
        cell["data"] = {"task_revision": "2"}
    one = only_score(between(tmp_path / "1", run((0, 1, 2)), data))
    assert (one.verdict, one.found.reason, one.found.value) == ("none", OTHER_DATA, 0)
    for cell in tokens:
        cell["cell"] |= {"window": 128, "target_tokens": 16}
    one = only_score(between(tmp_path / "2", run((0, 1, 2)), tokens))
    assert (one.verdict, one.found.reason) == ("none", OTHER_TOKENS)


def test_other_texts_have_no_verdict(tmp_path: Path) -> None:
    b = run((0, 1, 2))
    for cell in b:
        cell["predictions"]["ids"] = [f"other{i}" for i in range(TEXTS)]
    assert only_score(between(tmp_path, run((0, 1, 2)), b)).found.reason == NO_TEXTS


def test_a_seed_that_diverges_in_b_is_a_regression_without_a_verdict(tmp_path: Path) -> None:
    a, b = arm("LoRA 1", {0: 150, 1: 151, 2: 152}), arm("LoRA 1", {0: 150, 1: 151, 2: "diverged"})
    found = between(tmp_path, a, b)
    assert only_score(found).found.reason == "B: 1 of 3 diverged"
    assert only_score(found).verdict == "none"
    assert found.regressions == 1


def test_accuracy_goes_the_other_way(tmp_path: Path) -> None:
    a, b = (arm("LoRA 1", {s: n + s for s in range(3)}) for n in (120, 160))
    found = between(tmp_path, a, b)
    assert only_score(found).verdict == "better"
    assert found.regressions == 0
    assert found.family == 1
