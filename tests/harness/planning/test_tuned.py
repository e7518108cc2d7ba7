"""Choosing learning rates: on validation, with equal tries, failures counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.methods import TFIDF
from harness.core.result import CellResult, Scores, Status
from harness.planning import tuned
from tests.harness.planning.test_plan import BASE


def result(
    lr: float, value: float | None, status: Status = "ok", metric: str = "accuracy", **changes: Any
) -> CellResult:
    made = CellResult.begun(Cell.model_validate(BASE.model_dump() | {"lr": lr} | changes))
    made.status = status
    if value is not None:
        loss = value if metric == "loss" else 1 - value
        made.scores = Scores(metric=metric, validation_score=value, validation_loss=loss)
    return made


def test_the_best_mean_over_seeds_is_chosen() -> None:
    tries = [
        result(1e-3, 0.9, seed=0), result(1e-3, 0.5, seed=1),
        result(2e-3, 0.8, seed=0), result(2e-3, 0.8, seed=1),
    ]  # fmt: skip
    (entry,) = tuned.choose(tries).entries
    assert entry.lr == 2e-3
    assert [(t.lr, t.validation_score, t.cells) for t in entry.tries] == [
        (1e-3, 0.7, 2), (2e-3, 0.8, 2),
    ]  # fmt: skip


def test_a_failed_cell_counts_as_nothing_right() -> None:
    tries = [
        result(1e-3, 0.6, seed=0), result(1e-3, 0.6, seed=1),
        result(2e-3, 0.99, seed=0), result(2e-3, 0.9, "diverged", seed=1),
    ]  # fmt: skip
    assert tuned.choose(tries).entries[0].lr == 1e-3


def test_between_equals_the_lower_loss_wins() -> None:
    first, second = result(1e-3, 0.8), result(2e-3, 0.8)
    assert first.scores is not None
    first.scores.validation_loss = 0.9
    assert tuned.choose([first, second]).entries[0].lr == 2e-3


def test_of_losses_the_lowest_wins_and_a_failed_cell_is_the_worst(tmp_path: Path) -> None:
    losses = ((1e-3, 2.3), (2e-3, 2.1), (4e-3, 2.6))
    tries = [result(lr, loss, metric="loss") for lr, loss in losses]
    study = tuned.choose([*tries, result(8e-3, None, "diverged")])
    (entry,) = study.entries
    assert entry.lr == 2e-3
    assert [t.validation_score for t in entry.tries] == [-2.3, -2.1, -2.6, float("-inf")]
    tuned.write(study, tmp_path / "tuned.yaml")
    assert tuned.read(tmp_path / "tuned.yaml") == study.entries


def test_rates_over_different_seeds_are_not_compared() -> None:
    tries = [result(1e-3, 0.5, seed=0), result(1e-3, 0.9, seed=1), result(2e-3, 0.85, seed=1)]
    with pytest.raises(BadInput, match=r"0\.002 has no cell of 64 tokens, seed 0") as caught:
        tuned.choose(tries)
    assert "\n" not in str(caught.value)
    failed = result(2e-3, None, "oom", seed=0)  # a cell that failed was run, and counts
    assert tuned.choose([*tries, failed]).entries[0].lr == 1e-3


def test_no_arm_may_be_starved() -> None:
    tries = [result(1e-3, 0.8), result(2e-3, 0.8), result(1e-3, 0.8, method="ssmlora")]
    with pytest.raises(BadInput, match=r"unequal numbers of tries.*lora 0.5: 2.*ssmlora 0.5: 1"):
        tuned.choose(tries)


def test_the_baseline_is_no_arm_and_nothing_is_nothing() -> None:
    with pytest.raises(BadInput, match="no training cells"):
        tuned.choose([result(1e-3, 0.8, method=TFIDF)])


def test_a_study_survives_its_file(tmp_path: Path) -> None:
    study = tuned.choose([result(1e-3, 0.8), result(1e-3, 0.7, method="ssmlora")])
    tuned.write(study, tmp_path / "tuned.yaml")
    assert tuned.read(tmp_path / "tuned.yaml") == study.entries


def test_a_damaged_study_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tuned.yaml"
    path.write_text("study: {}\nentries: [{arm: {}, lr: much, tries: []}]\n")
    with pytest.raises(BadInput, match=r"tuned\.yaml: entries\.0\.lr"):
        tuned.read(path)
