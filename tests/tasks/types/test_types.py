"""Task types: one file each; regression as the proof; nothing outside depends on a type's name."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from harness.core.metrics import METRICS
from tasks import Example, Splits, Task, TaskMetadata, load_task
from tasks.card import render_card, task_card
from tasks.conformance import violations
from tasks.contract import fault, first_fault
from tasks.types import TASK_TYPES, task_type
from tasks.types.base import Padded
from tests.made_up import metadata
from tests.tasks.hub_folder import write

ROOT = Path(__file__).parents[3]


def test_there_is_a_file_for_every_type_and_its_metrics_are_registered() -> None:
    files = {path.stem for path in (ROOT / "tasks" / "types").glob("*.py")}
    assert set(TASK_TYPES) == files - {"__init__", "base"}
    for kind in TASK_TYPES.values():
        assert {*kind.metrics, *kind.secondary} <= set(METRICS)
    with pytest.raises(ValueError, match="no task type 'essay': use one of choice"):
        task_type("essay")


def test_no_code_outside_compares_the_name_of_a_type() -> None:
    """No `x.family == …`, `x.family in …`, and no name of a type in a comparison."""
    found = []
    for folder in ("harness", "tasks", "reports"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.parent == ROOT / "tasks" / "types":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Compare):
                    continue
                sides = (node.left, *node.comparators)
                parts = [part for side in sides for part in ast.walk(side)]
                names = {p.value for p in parts if isinstance(p, ast.Constant)} & set(TASK_TYPES)
                family = any(isinstance(p, ast.Attribute) and p.attr == "family" for p in parts)
                if names or family:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_listing_tasks_and_reading_a_card_import_no_torch() -> None:
    code = (
        "import sys; from tasks import discover, load_task; from tasks.card import task_card; "
        "assert len(discover()) > 40; "
        "tokens = lambda text: [(k, k + 1) for k in range(len(text))]; "
        "card = task_card(load_task('needle'), tokens, [64]); "
        "assert card['family'] == 'classification'; "
        "import harness.cli.task_commands as c; from tasks import OwnTasks; "
        "c.list_tasks(OwnTasks()); "
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.stdout.splitlines()[-1:] == ["False False"], done.stdout[-500:] + done.stderr


def test_the_older_name_of_metric_works_and_a_metric_must_fit_the_type() -> None:
    assert metadata("generation", judged_by="exact_match").metric == "exact_match"
    assert metadata("generation").metric == "rouge_l"
    assert metadata("classification", metric="matthews").metric == "matthews"
    with pytest.raises(ValueError, match="'spearman' is not one of pair: accuracy"):
        metadata("pair", metric="spearman")


RANGE: dict[str, Any] = {"family": "regression", "value_range": (-1.0, 3.0)}


class Numbers(Task):
    """The value of a text follows from one of its words, that of a card is known by hand."""

    metadata: ClassVar[TaskMetadata] = metadata(**RANGE, lengths=(16, 24), natural_length=12)

    def splits(self, length: int, seed: int) -> Splits:
        def part(name: str, order: int) -> list[Example]:
            draw = random.Random(name)
            examples = []
            for k in range(60):
                words = [f"w{'abcde'[k % 5]}", *(f"x{draw.randrange(10**6)}" for _ in range(10))]
                examples.append(Example(f"{name}{k}", " ".join(words), value=k % 5 - 1.0))
            random.Random(order).shuffle(examples)
            return examples

        return Splits(part("train", seed), part("validation", 0), part("test", 0))


def test_a_regression_conforms() -> None:
    assert violations(Numbers(), 16) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"value": None}, "has a value that is no number: None"),
        ({"value": "much"}, "has a value that is no number: 'much'"),
        ({"value": float("nan")}, "has a value out of range: nan, not in -1 to 3"),
        ({"value": 3.5}, "has a value out of range: 3.5, not in -1 to 3"),
    ],
)
def test_values_that_are_no_targets(change: dict[str, Any], complaint: str) -> None:
    example = Numbers().splits(16, 0).test[0]
    assert fault(Numbers.metadata, example) == ""
    assert fault(Numbers.metadata, example._replace(**change)) == complaint


def test_a_second_text_is_for_all_examples_or_none() -> None:
    train = Numbers().splits(16, 0).train[:2]
    mixed = Splits([train[0]._replace(second="more"), train[1]], [], [])
    assert first_fault(Numbers.metadata, mixed).startswith("all examples need a second text")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"value_range": None}, "value_range"),
        ({"value_range": (1.0, 1.0)}, "value_range"),
        ({"labels": ("a", "b")}, "regression has none"),
        ({"metric": "accuracy"}, "'accuracy' is not one of regression"),
    ],
)
def test_metadata_of_a_regression(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        metadata(**{**RANGE, **more})


def test_targets_are_scaled_and_answers_are_scaled_back() -> None:
    about, kind = Numbers.metadata, task_type("regression")
    targets = [-1.0, 0.0, 3.0]
    ids = torch.ones(3, 1)
    labels = kind.batch_labels(Padded(ids, ids, [0, 0, 0], targets), about)
    assert labels.tolist() == [0.0, 0.25, 1.0]

    class Batch:
        logits = labels[:, None]

    assert kind.predict(Batch(), about) == targets  # type: ignore[arg-type]
    loss, _ = kind.loss(torch.zeros(3, 1), labels)
    assert float(loss) == pytest.approx((0.25**2 + 1) / 3)


def test_scores_of_a_regression_may_be_negative() -> None:
    about = Numbers.metadata
    targets = [float(k % 5 - 1) for k in range(50)]
    scores = about.task_type.score([-t for t in targets], targets, about)
    assert scores["metric"] == "spearman"
    assert scores["score"] == pytest.approx(-1)
    assert scores["secondary"]["pearson"] == pytest.approx(-1)
    assert scores["majority"] == 0.0
    assert -1 <= scores["score_low"] <= scores["score_high"] <= 1


def test_the_card_of_a_regression() -> None:
    def words(text: str) -> list[tuple[int, int]]:
        ends = [k for k, c in enumerate(f"{text} ") if c == " "]
        return [(0, end) for end in ends]

    card = task_card(Numbers(), words, (24,))
    ranges = ["-1 to -0.2", "-0.2 to 0.6", "0.6 to 1.4", "1.4 to 2.2", "2.2 to 3"]
    assert card["labels"]["test"] == dict.fromkeys(ranges, 12)
    (row,) = card["rows"]
    assert row["majority"] == 0.0
    assert row["tfidf"] > 0.9  # one word says the value
    assert card["example"]["answer"] in {"-1", "0", "1", "2", "3"}
    assert "spearman" in render_card(card)


def test_stsb_and_cola(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_LONG_HUB", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path, "glue_stsb")
    task = load_task("glue_stsb")
    assert [task.metadata.metric, *task.metadata.task_type.secondary] == [
        "spearman", "spearman", "pearson"
    ]  # fmt: skip
    example = task.splits(64, 0).test[0]
    number = int(example.id.removeprefix("test-"))
    assert example.value == pytest.approx(number % 26 / 5)
    assert example.second
    assert violations(task, 64) == []
    assert load_task("glue_cola").metadata.metric == "matthews"
