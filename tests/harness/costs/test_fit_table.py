"""Answers from dry runs: those of the whole model, also where shallow models save time."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.cell import Cell
from harness.core.fits import Memory
from harness.costs import dry_run
from harness.costs.fit_table import Question, answer
from harness.costs.search import unit
from harness.models.backbones import Backbone
from tests.harness.costs.test_dry_run import SIZES, backbone, probe

MIB = 2**20


def space(limit: int, name: str = "small") -> Memory:
    return Memory(name=name, bytes=limit, reserve_bytes=0)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "ssmlora"])
def test_longest_context_of_a_model(tmp_path: Path, method: str) -> None:
    folder, cell = backbone(tmp_path, True), probe(method, True)
    (found,) = answer(Question("arm", "default", cell, [space(8 * MIB)]), folder)

    def bytes_at(tokens: int) -> int:
        at = cell.model_copy(update={"length": tokens})
        return dry_run.train_memory(at, folder).peak_bytes

    assert found.length
    assert found.live_peak_bytes == bytes_at(found.length) <= 8 * MIB
    assert bytes_at(found.length + unit(found.length)) > 8 * MIB
    assert found.positions == SIZES["max_position_embeddings"]


@pytest.mark.parametrize("per_block", [1000, 100, 700, 1500])
def test_shallow_models_do_not_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_block: int
) -> None:
    """Whatever they say, the answer is a length at which the whole model fits.

    A token takes 40,000 bytes in the whole model, and `per_block` in a block of a shallow one.
    """
    from transformers import BertConfig

    BertConfig(**{**SIZES, "num_hidden_layers": 40}).save_pretrained(tmp_path)
    runs: list[int | None] = []

    def step(cell: Cell, _: Backbone, blocks: int | None = None) -> dry_run.Memory:
        runs.append(blocks)
        size = cell.length * (40_000 if blocks is None else blocks * per_block) + 5000
        return dry_run.Memory(size, {"saved_base": size})

    monkeypatch.setattr(dry_run, "train_memory", step)
    question = Question("arm", "default", probe("full", False), [space(10**8)])
    (found,) = answer(question, Backbone("deep", tmp_path, "none"))
    assert found.length == 2496
    assert runs.count(None) <= (1 if per_block == 1000 else 9)


def test_arm_that_cannot_be_built_has_a_reason(tmp_path: Path) -> None:
    folder = backbone(tmp_path, False)
    cell = probe("lora", False).model_copy(update={"method": "no_method"})
    rows = answer(Question("arm", "default", cell, [space(MIB, "a"), space(MIB, "b")]), folder)
    assert [row.memory for row in rows] == ["a", "b"]
    assert all(row.reason and row.text == "no answer" for row in rows)


def test_length_that_was_asked_for(tmp_path: Path) -> None:
    folder, cell = backbone(tmp_path, False), probe("lora", False)
    spaces = [space(1), space(8 * MIB)]
    rows = answer(Question("arm", "default", cell, spaces, cell.length), folder)
    assert [(row.length, row.fits) for row in rows] == [(192, False), (192, True)]
    assert {row.live_peak_bytes for row in rows} == {dry_run.train_memory(cell, folder).peak_bytes}
