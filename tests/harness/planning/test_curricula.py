"""`train.curriculum`: which cells have it, and which names are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import main
from harness.core.errors import BadInput
from harness.core.methods import HEAD, LORA, TFIDF
from harness.execution.cell_main import run_cell
from harness.models.backbones import find_backbone
from harness.planning.plan import Plan, make_plan
from harness.planning.sweep import load_sweep
from tests.harness.conftest import SWEEPS

PLUGIN = """
from tasks import Example, Splits, Task, TaskMetadata

class Mine(Task):
    curricula = {"short": "Training texts are one word."}
    metadata = TaskMetadata(
        name="mine", title="t", description="d", labels=("a", "b"), source="here", revision="1",
        licence="none", citation="none", natural_length=8, lengths=(8,), whole_texts=True,
        min_length=8,
    )

    def splits(self, length, seed):
        return Splits(*(
            [Example(f"{p}{k}", f"text {'ab'[k % 2]} {p} {k}", k % 2) for k in range(50)]
            for p in ("train", "validation", "test")
        ))

    def training(self, length, seed, curriculum="none"):
        self.check_curriculum(curriculum)
        train = self.splits(length, seed).train
        return train if curriculum == "none" else [e._replace(text="one") for e in train]
"""


def plan(tasks: str, curriculum: str, folder: Path | None = None) -> Plan:
    changes = [
        f"tasks=[{tasks}]", "lengths=[64]", "methods=[lora]", f"train.curriculum={curriculum}"
    ]  # fmt: skip
    return make_plan(load_sweep(SWEEPS / "smoke.yaml", changes), SWEEPS / "smoke.yaml", folder)


def test_every_cell_of_a_task_has_it_and_the_others_none() -> None:
    planned = plan("needle, newsgroups, parity", "repeat_tokens")
    found = {(c.task, c.method, c.curriculum) for c in planned.cells if c.kind == "train"}
    assert found == {
        (task, method, "none" if task == "newsgroups" else "repeat_tokens")
        for task in ("needle", "newsgroups", "parity")
        for method in (HEAD, LORA, TFIDF)
    }
    (line,) = [line for line in planned.warnings if "curriculum" in line]
    assert "train.curriculum: newsgroups:" in line
    assert "needle" not in line


def test_the_plan_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    changes = ["tasks=[needle, newsgroups]", "lengths=[64]", "train.curriculum=warm_up"]
    words = [word for change in changes for word in ("--set", change)]
    assert main(["plan", str(SWEEPS / "smoke.yaml"), *words]) == 0
    shown = capsys.readouterr()
    assert "curriculum warm_up: needle\n" in shown.out
    assert "train.curriculum: newsgroups:" in shown.err


def test_a_rate_that_was_tuned_under_another_curriculum_is_another_arm() -> None:
    none, other = (plan("needle", name).cells[0] for name in ("none", "warm_up"))
    assert other.arm_key == {**none.arm_key, "curriculum": "warm_up"}
    assert "curriculum" not in none.arm_key


def test_it_is_part_of_the_id_and_none_is_not() -> None:
    none, other = (
        {c.id for c in plan("needle", name).cells if c.kind == "train"}
        for name in ("none", "warm_up")
    )
    assert not none & other
    (cell, *_) = (c for c in plan("needle", "none").cells if c.kind == "train")
    assert cell.model_copy(update={"curriculum": "none"}).id == cell.id


@pytest.mark.parametrize(
    ("tasks", "name", "said"),
    [
        ("needle", "repeat_token", "Did you mean 'repeat_tokens'?"),
        ("needle", "harder", "Available: none, fewer_facts, repeat_tokens, warm_up"),
        ("newsgroups", "warm_up", "no task of this sweep offers warm_up"),
        ("parity, newsgroups", "fewer_facts", "tasks: none, repeat_tokens, warm_up"),
        ("needle", "null", "train.curriculum"),
    ],
)
def test_a_name_that_does_nothing_is_refused(tasks: str, name: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        plan(tasks, name)
    (line,) = refused.value.args
    assert "train.curriculum: " in line
    assert said in line


def test_a_plugins_own(tmp_path: Path) -> None:
    """The cell reads those texts, and other texts are other cells."""
    (tmp_path / "mine.py").write_text(PLUGIN, encoding="utf-8")
    with pytest.raises(BadInput, match=r"Available: none, fewer_facts, repeat_tokens, short"):
        plan("mine", "odd", tmp_path)
    accuracy = {}
    for name in ("none", "short"):
        cell = next(c for c in plan("mine", name, tmp_path).cells if c.method == TFIDF)
        assert cell.curriculum == name
        result = run_cell(cell, find_backbone("minilm"), tmp_path)
        assert result.ok, result.error
        assert result.scores
        accuracy[name] = result.scores.score
    assert accuracy == {"none": 1.0, "short": 0.5}


def test_the_digest_of_a_cells_examples_is_that_of_its_curriculum(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN, encoding="utf-8")
    none, short = (
        next(c for c in plan("mine", name, tmp_path).cells if c.method == TFIDF).revisions
        for name in ("none", "short")
    )
    assert none["task"] == short["task"]
    assert none["examples"] != short["examples"]
