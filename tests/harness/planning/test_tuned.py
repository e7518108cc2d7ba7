"""Choosing learning rates: on validation, with equal tries, failures counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.methods import HEAD, TFIDF
from harness.core.result import CellResult, Scores, Status
from harness.planning import tuned
from tests.harness.planning.test_plan import BASE


def result(lr: float, loss: float | None, status: Status = "ok", **changes: Any) -> CellResult:
    made = CellResult.begun(Cell.model_validate(BASE.model_dump() | {"lr": lr} | changes))
    made.status = status
    if loss is not None:
        made.scores = Scores(metric="accuracy", validation_score=1 - loss, validation_loss=loss)
    return made


def tried(rates: dict[float, list[float | None]], **changes: Any) -> list[CellResult]:
    """Cells of rates: for each seed a loss, or None for a cell that diverged."""
    return [
        result(lr, loss, "ok" if loss is not None else "diverged", seed=seed, **changes)
        for lr, losses in rates.items()
        for seed, loss in enumerate(losses)
    ]


def test_the_lowest_mean_loss_is_chosen_whatever_the_scores() -> None:
    cells = tried({1e-3: [0.1, 0.5, 0.3], 2e-3: [0.2, 0.2, 0.2]})
    for cell in cells[:3]:
        assert cell.scores is not None
        cell.scores.validation_score = 1.0
    (entry,) = tuned.choose(cells).entries
    assert entry.lr == 2e-3
    found = [(t.lr, t.validation_loss, t.validation_score, t.cells) for t in entry.tries]
    assert found == [(1e-3, 0.3, 1.0, 3), (2e-3, 0.2, 0.8, 3)]


def test_a_failed_seed_makes_a_rate_lose(tmp_path: Path) -> None:
    study = tuned.choose(tried({1e-3: [0.4, 0.4, 0.4], 2e-3: [0.1, 0.1, None]}))
    (entry,) = study.entries
    assert entry.lr == 1e-3
    assert [(t.validation_loss, t.validation_score) for t in entry.tries] == [
        (0.4, 0.6), (None, 0.9),
    ]  # fmt: skip
    tuned.write(study, tmp_path / "tuned.yaml")
    assert tuned.read(tmp_path / "tuned.yaml") == study.entries
    with pytest.raises(BadInput, match=r"every learning rate of lora 0\.5 at 64 tokens failed"):
        tuned.choose(tried({1e-3: [0.4, None, 0.4]}))


def test_two_seeds_are_refused() -> None:
    with pytest.raises(BadInput, match=r"2 seeds for lora 0\.5 at 64 tokens, and 3 are needed"):
        tuned.choose(tried({1e-3: [0.4, 0.4], 2e-3: [0.3, 0.3]}))


def test_rates_over_different_seeds_are_not_compared() -> None:
    cells = tried({1e-3: [0.5, 0.1, 0.5], 2e-3: [0.15, 0.15, 0.15]})
    with pytest.raises(BadInput, match=r"0\.002 has no cell of 64 tokens, seed 2") as caught:
        tuned.choose(cells[:-1])
    assert "\n" not in str(caught.value)


def test_the_control_at_the_rate_of_the_classifier_chooses_nothing() -> None:
    head = tried({1e-2: [0.5, 0.5, 0.5]}, method="head", density=None)
    study = tuned.choose(tried({1e-3: [0.2, 0.2, 0.2], 2e-3: [0.3, 0.3, 0.3]}) + head)
    assert [entry.arm["method"] for entry in study.entries] == ["lora"]


def test_no_arm_may_be_starved() -> None:
    cells = tried({1e-3: [0.2], 2e-3: [0.2]}) + tried({1e-3: [0.2]}, method="ssmlora")
    with pytest.raises(BadInput, match=r"unequal numbers of tries.*lora 0.5: 2.*ssmlora 0.5: 1"):
        tuned.choose(cells)


def test_the_baseline_is_no_arm_and_nothing_is_nothing() -> None:
    with pytest.raises(BadInput, match="no training cells"):
        tuned.choose(tried({1e-3: [0.2] * 3}, method=TFIDF))


def test_a_control_at_its_default_is_no_part_of_the_study() -> None:
    cells = tried({1e-3: [0.2] * 3, 2e-3: [0.3] * 3}, lr_source="sweep")
    control = tried({1e-2: [0.1] * 3}, method=HEAD, lr_source="default")
    assert len(tuned.choose([*cells, *control]).entries) == 1


def test_each_length_has_an_entry_with_its_settings(tmp_path: Path) -> None:
    short = tried({1e-3: [0.1] * 3, 2e-3: [0.2] * 3}, head_lr=0.01)
    long = tried({1e-3: [0.2] * 3, 2e-3: [0.1] * 3}, head_lr=0.01, length=128)
    study = tuned.choose(short + long)
    assert {(e.settings["length"], e.lr) for e in study.entries} == {(64, 1e-3), (128, 2e-3)}
    assert {(e.settings["dtype"], e.settings["head_lr"]) for e in study.entries} == {
        ("float32", 0.01)
    }
    tuned.write(study, tmp_path / "tuned.yaml")
    assert tuned.read(tmp_path / "tuned.yaml") == study.entries


def test_a_head_whose_best_rate_was_not_used_by_the_others_is_noted() -> None:
    arm = tried({1e-3: [0.1] * 3, 2e-3: [0.2] * 3}, head_lr=0.01)
    for best, noted in ((0.01, False), (0.03, True)):
        head = [
            cell
            for lr in (0.01, 0.03)
            for cell in tried({lr: [0.1 if lr == best else 0.2] * 3}, method=HEAD, head_lr=lr)
        ]
        study = tuned.choose(arm + head)
        assert bool(study.head_note) is noted
        assert ("train.head_lr=0.03" in study.head_note) is noted


def test_a_best_rate_at_the_edge_of_the_tried_ones_is_noted() -> None:
    def notes(*losses: float) -> list[str]:
        rates = zip((1e-3, 2e-3, 4e-3), losses, strict=True)
        return tuned.choose(tried({lr: [loss] * 3 for lr, loss in rates})).edge_notes

    assert notes(0.2, 0.1, 0.3) == []
    (low,) = notes(0.1, 0.2, 0.3)
    assert low == "lora 0.5: the best rate, 0.001, is the lowest that was tried: add lower ones"
    (high,) = notes(0.3, 0.2, 0.1)
    assert "0.004, is the highest that was tried: add higher ones" in high
    assert tuned.choose(tried({1e-3: [0.1] * 3})).edge_notes == []


def test_a_damaged_study_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tuned.yaml"
    path.write_text("study: {}\nentries: [{arm: {}, lr: much, tries: []}]\n")
    with pytest.raises(BadInput, match=r"tuned\.yaml: entries\.0\.lr"):
        tuned.read(path)


def test_arms_are_named_by_what_is_not_the_default() -> None:
    arm = BASE.model_copy(update={"placement": "alternate"})
    other = {"target": "mlp", "rank": 16, "placement": "last", "options": {"use_dora": True}}
    keys = [arm.arm_key, arm.model_copy(update=other).arm_key]
    assert [tuned.arm_name(key) for key in keys] == [
        "lora 0.5", "lora 0.5 last mlp r16 use_dora=True",
    ]  # fmt: skip
