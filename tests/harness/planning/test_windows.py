"""Which tokens a sweep of language modelling scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.planning.plan import Plan, make_plan
from harness.planning.sweep import load_sweep

SWEEP = """
name: windows
backbone: smollm2
tasks: [newsgroups_lm]
lengths: [64, 256]
methods: [{lora: {density: 1, lr: 1.0e-3}}]
train: {examples: 4, validation_examples: 4, test_examples: 4, batch_size: 1}
"""


def plan(folder: Path, *changes: str) -> Plan:
    path = folder / "sweep.yaml"
    path.write_text(SWEEP)
    return make_plan(load_sweep(path, changes), path)


def scored(planned: Plan) -> set[tuple[int | None, int | None]]:
    return {(cell.window, cell.target_tokens) for cell in planned.cells}


def test_the_same_tokens_are_scored_at_all_lengths(tmp_path: Path) -> None:
    planned = plan(tmp_path)
    assert {cell.method for cell in planned.cells} == {"lora", "base"}
    assert {cell.lm_loss for cell in planned.cells} == {"chunked"}
    assert scored(planned) == {(256, 32)}
    assert scored(plan(tmp_path, "lengths=[256, 512]")) == {(512, 128)}
    assert scored(plan(tmp_path, "train.test_lengths=[512]")) == {(512, 32)}
    assert scored(plan(tmp_path, "train.context={targets: 16, window: 300}")) == {(300, 16)}
    assert scored(plan(tmp_path, "lengths=[256]")) == {(None, None)}
    assert scored(plan(tmp_path, "train.context=none")) == {(None, None)}
    ids = {cell.id for cell in plan(tmp_path, "train.context=none").cells}
    assert not ids & {cell.id for cell in planned.cells}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.context={targets: 64}", "64 scored tokens need a length of at least 65"),
        ("train.context={window: 200, targets: 16}", "200 is shorter than the longest length, 256"),
        ("train.context={window: 100000, targets: 16}", "none of the 32 validation texts of the"),
        ("lengths=[64, 100000]", "none of the 32 validation texts of the task 'newsgroups_lm' has"),
    ],
)
def test_windows_that_cannot_be_scored_are_refused(
    tmp_path: Path, change: str, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        plan(tmp_path, change)


def test_a_context_needs_a_task_of_language_modelling(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"train.context: no task of this sweep is language model"):
        plan(tmp_path, "tasks=[newsgroups]", "backbone=minilm", "train.context={targets: 16}")


def test_texts_that_do_not_reach_the_window_are_left_out(tmp_path: Path) -> None:
    (line,) = plan(tmp_path, "lengths=[64, 2048]", "train.test_examples=51").warnings
    assert "of the 51 test texts of the task 'newsgroups_lm' have 2048 tokens" in line
    assert line.endswith("the others are left out")


def test_a_full_loss_is_an_arm_of_its_own(tmp_path: Path) -> None:
    cells = [c for loss in ("full", "chunked") for c in plan(tmp_path, f"train.loss={loss}").cells]
    assert {c.arm for c in cells if c.method == "lora"} == {"LoRA 1", "LoRA 1 full logits"}
