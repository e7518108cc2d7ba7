"""Evaluations beyond a cell's own test: other lengths, position of the evidence, unrelated text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, BertConfig, GPT2Config, LlamaConfig

from harness.core.cell import Cell
from harness.core.result import CellResult, Evaluation
from harness.execution.cell_main import run_cell
from harness.planning.plan import Plan
from harness.training import further
from harness.training.batches import Encoded
from tests.harness.tiny_backbones import SIZES, WORDS, plan, save
from tests.made_up import metadata

TEXTS = [" ".join([*WORDS.split()[k:], *WORDS.split()[:k]] * 4) for k in range(12)]


def lengths(result: CellResult) -> dict[int | None, Evaluation]:
    return {one.length: one for one in result.evaluations if one.kind == "length"}


def run(planned: Plan, method: str = "full", **changes: Any) -> CellResult:
    cell = next(cell for cell in planned.cells if cell.method == method)
    result = run_cell(cell.model_copy(update=changes), planned.backbone, planned.own_tasks)
    assert result.ok, result.error
    return result


@pytest.fixture
def bert(tmp_path: Path) -> Plan:
    """An encoder with 32 positions, trained at 16 tokens."""
    config = BertConfig(**SIZES, max_position_embeddings=32)
    more = "lengths: [16]\nmethods: [full]\n"
    return plan(save(config, tmp_path / "bert"), tmp_path, "classification", TEXTS, more)


def test_other_lengths_change_nothing_about_the_training_or_the_own_test(bert: Plan) -> None:
    plain, tested = run(bert), run(bert, test_lengths=(8, 16, 64))
    assert plain.curve == tested.curve
    assert plain.scores == tested.scores
    assert plain.predictions == tested.predictions
    assert plain.model == tested.model
    found = lengths(tested)
    assert [*found] == [8, 16, 64]
    for one in found.values():
        assert (one.status, one.task, one.metric, one.examples) == ("ok", "odd", "accuracy", 12)
        assert one.value == pytest.approx(sum(map(float, filter(None, one.scores))) / 12)
        assert len(one.scores) == 12
    assert tested.scores is not None
    assert found[16].value == tested.scores.accuracy
    assert (found[16].low, found[16].high) == (
        tested.scores.accuracy_low, tested.scores.accuracy_high,
    )  # fmt: skip


@pytest.mark.slow
def test_a_column_of_the_matrix_has_the_texts_of_a_cell_of_that_length(bert: Plan) -> None:
    """Models that are as good as untrained answer alike, wherever they were trained."""
    untrained = {"lr": 1e-12, "head_lr": 1e-12}
    for length in (24, 48):  # 48 is beyond the position table
        there = run(bert, length=length, **untrained)
        here = run(bert, test_lengths=(length,), **untrained)
        assert there.scores is not None
        assert lengths(here)[length].value == there.scores.accuracy


def test_lengths_that_fail_are_results_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = GPT2Config(vocab_size=300, n_embd=16, n_layer=1, n_head=2, n_positions=32)
    more = "lengths: [16]\nmethods: [full]\n"
    planned = plan(save(config, tmp_path / "gpt"), tmp_path, "classification", TEXTS, more)
    evaluate = further.evaluate

    def limited(model: Any, cell: Any, *rest: Any) -> Any:
        if cell.length == 12:
            raise MemoryError
        return evaluate(model, cell, *rest)

    monkeypatch.setattr(further, "evaluate", limited)
    result = run(planned, test_lengths=(12, 24, 64))
    found = lengths(result)
    assert {n: one.status for n, one in found.items()} == {12: "oom", 24: "ok", 64: "error"}
    assert "32 positions" in found[64].message
    assert result.statuses == {"ok", "oom", "error"}
    assert found[64].value is None
    assert CellResult.model_validate_json(result.model_dump_json()).evaluations[-1] == found[64]


def test_answers_are_scored_by_the_quarter_with_the_evidence() -> None:
    test = Encoded(metadata(), tokenizer=None)  # type: ignore[arg-type]
    test.positions = [0.0, 0.24, 0.25, 0.7, 1.0, None, 0.99]
    test.targets = [0, 1, 2, 0, 1, 2, 0]
    cell = Cell(
        kind="train", task="t", backbone="b", method="full", length=100, seed=0, batch_size=8,
        dtype="float32", device="cpu",
    )  # fmt: skip
    found = further.by_evidence(cell, test, [0, 2, 2, 1, 1, 2, 1])
    known = {one.position: (one.value, one.examples) for one in found}
    assert known == {12: (0.5, 2), 37: (1.0, 1), 62: (0.0, 1), 87: (0.5, 2)}
    assert {(one.kind, one.metric, one.length) for one in found} == {("position", "accuracy", None)}
    assert all(one.scores == [] for one in found)
    for one in found:
        assert one.low is not None
        assert one.high is not None
        assert 0 <= one.low <= (one.value or 0) <= one.high <= 1
    test.positions = [None] * 7
    assert further.by_evidence(cell, test, test.targets) == []


def test_unrelated_text_is_read_before_and_after_training(tmp_path: Path) -> None:
    model = LlamaConfig(**SIZES, num_key_value_heads=1)
    folder = save(model, tmp_path / "llama", AutoModelForCausalLM)
    more = "lengths: [16]\nmethods: [full]\n"
    planned = plan(folder, tmp_path, "language_modelling", TEXTS, more)
    other = (tmp_path / "plugins" / "odd.py").read_text().replace('name="odd"', 'name="unrelated"')
    (tmp_path / "plugins" / "unrelated.py").write_text(other.replace("white clouds", "red cars"))
    asked = {"forgetting": "unrelated", "forgetting_examples": 5}
    before, after, same = (
        _only(run(planned, **asked, **more))
        for more in ({"method": "base", "lr": None}, {"lr": 1e-2}, {"lr": 1e-12})
    )
    for one in (before, after, same):
        assert (one.task, one.metric, one.examples, len(one.scores)) == ("unrelated", "loss", 5, 5)
        assert not one.higher_is_better
        assert one.value == pytest.approx(sum(map(float, filter(None, one.scores))) / 5, rel=1e-4)
    assert same.scores == pytest.approx(before.scores, abs=1e-6)
    assert after.value != pytest.approx(before.value, abs=1e-3)


def _only(result: CellResult) -> Evaluation:
    (one,) = result.evaluations
    assert one.kind == "forgetting"
    return one
