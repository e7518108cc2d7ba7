"""The scores of a result, the best constant answer, and a real sweep of several task types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.metrics import METRICS
from tasks import Family
from tests.harness.conftest import cells, results_here
from tests.harness.training.test_batches import metadata


def full_scores(answers: list[Any], targets: list[Any], family: Family) -> dict[str, Any]:
    return metadata(family).task_type.score(answers, targets, metadata(family))


def best_constant(family: Family, targets: list[Any]) -> float | None:
    return metadata(family).task_type.constant_score(targets, metadata(family))


LABELS = st.sets(st.integers(0, 2)).map(lambda s: tuple(sorted(s)))


def test_the_interval_of_micro_f1_holds_it_and_narrows_with_more_texts() -> None:
    said, there = [(0,), (1,), (0, 2), ()] * 20, [(0,), (0,), (2,), (1,)] * 20
    widths = []
    for size in (20, 80):
        scores = full_scores(said[:size], there[:size], "multilabel")
        assert scores["score_low"] < scores["score"] < scores["score_high"]
        assert "accuracy" not in scores
        widths.append(scores["score_high"] - scores["score_low"])
    assert widths[1] < 0.7 * widths[0]


def test_accuracy_has_wilsons_interval_and_macro_f1() -> None:
    scores = full_scores([0, 1, 1, 2], [0, 1, 2, 2], "classification")
    assert scores["accuracy"] == scores["score"] == 0.75
    assert scores["accuracy_low"] == pytest.approx(0.3006, abs=1e-4)  # Wilson (1927), by hand
    assert scores["secondary"]["macro_f1"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


@given(st.lists(LABELS, min_size=1, max_size=12))
def test_the_best_constant_set_of_labels_is_the_best_of_all_sets(
    there: list[tuple[int, ...]],
) -> None:
    every = [tuple(k for k in range(3) if n >> k & 1) for n in range(8)]
    best = max(METRICS["micro_f1"].score([said] * len(there), there) for said in every)
    assert best_constant("multilabel", there) == pytest.approx(best)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_the_best_constant_label_is_the_best_of_all_labels(there: list[int]) -> None:
    best = max(METRICS["accuracy"].score([said] * len(there), there) for said in range(3))
    for family in ("classification", "pair", "choice"):
        assert best_constant(family, there) == pytest.approx(best)


def test_no_constant_answer_is_scored_where_text_is_read_or_written_or_nothing_is_tested() -> None:
    assert best_constant("generation", [("a",), ("a",)]) is None
    assert best_constant("language_modelling", [None, None]) is None
    assert best_constant("classification", []) is None


SKEWED = """
from tasks import Example, Splits, Task, TaskMetadata

class Skewed(Task):
    # train: label 0 is the most frequent (.6); test: label 1 (.63), as in WSC
    metadata = TaskMetadata(name="skewed", title="t", description="d", labels=("a", "b"),
        source="s", revision="1", licence="l", citation="c", natural_length=8, lengths=(8,),
        balanced=True)

    def splits(self, length, seed):
        def part(name, size, zeros):
            return [Example(f"{name}{k}", f"{name} text number {k} of all these", int(k >= zeros))
                    for k in range(size)]
        return Splits(part("train", 20, 12), part("validation", 8, 4), part("test", 100, 37))
"""


def test_the_majority_of_a_result_is_that_of_its_test_texts(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "skewed.py").write_text(SKEWED)
    changes = ["tasks=[skewed]", "lengths=[8]", "train.test_examples=100"]
    words = ["--tasks-dir", tmp_path / "plugins", "--out", tmp_path / "out"]
    assert results_here(tiny, *words, *[w for c in changes for w in ("--set", c)]) == 0
    found = list(cells(tmp_path / "out").values())
    assert {r["cell"]["method"] for r in found} == {"lora", "tfidf"}
    for result in found:
        assert result["scores"]["majority"] == pytest.approx(0.63)
        assert "majority" not in result["data"]


PLUGINS = """
import random
from tasks import Example, Splits, Task, TaskMetadata

def metadata(name, family, labels):
    return TaskMetadata(name=name, title=name, description=name, family=family, labels=labels,
        source="generated", revision="1", licence="none", citation="none", natural_length=20,
        lengths=(32,), whole_texts=True, balanced=True)

WORDS = ("red", "green", "blue")

class _Made(Task):
    def splits(self, length, seed):
        return Splits(*(self.draw(part, seed) for part in ("train", "validation", "test")))

    def draw(self, part, seed):
        r = random.Random(part)
        return [self.one(f"{part}-{k}", r, " ".join(str(r.randrange(99)) for _ in range(8)))
                for k in range(160 if part == "train" else 40)]

class Pair(_Made):
    metadata = metadata("made_pair", "pair", ("same", "other"))
    def one(self, name, r, text):
        label = r.randrange(2)
        return Example(name, text, label, second=f"{('yes', 'no')[label]} {r.randrange(99)}")

class Choice(_Made):
    metadata = metadata("made_choice", "choice", ())
    def one(self, name, r, text):
        answers = ["right", "wrong"]
        r.shuffle(answers)
        return Example(name, text, answers.index("right"), "which", choices=tuple(answers))

class Several(_Made):
    metadata = metadata("made_several", "multilabel", WORDS)
    def one(self, name, r, text):
        labels = tuple(k for k in range(3) if r.random() < 0.3)
        return Example(name, " ".join(WORDS[k] for k in labels) + " " + text, labels=labels)
"""


CORRELATED = """
import random
from tasks import Example, Splits, Task, TaskMetadata

def metadata(name, **more):
    return TaskMetadata(name=name, title=name, description=name, source="generated", revision="1",
        licence="none", citation="none", natural_length=12, lengths=(16,), whole_texts=True, **more)

class _Made(Task):
    def splits(self, length, seed):
        return Splits(*(self.draw(part) for part in ("train", "validation", "test")))

    def draw(self, part):
        r = random.Random(part)
        return [self.one(f"{part}-{k}", r.randrange(2), str(r.randrange(10**6))) for k in range(48)]

class Number(_Made):
    metadata = metadata("made_number", family="regression", value_range=(0.0, 10.0))
    def one(self, name, k, text):
        return Example(name, f"{('low', 'high')[k]} {text}", second="and more", value=10.0 * k)

class Turned(_Made):
    # The test labels contradict those of train.
    metadata = metadata("made_turned", labels=("a", "b"), metric="matthews")
    def one(self, name, k, text):
        return Example(name, f"{('no', 'yes')[k]} {text}", k ^ name.startswith("test"))
"""


@pytest.mark.slow
def test_correlations_of_either_sign_are_results(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "made.py").write_text(CORRELATED)
    words = ["--tasks-dir", tmp_path / "plugins", "--out", tmp_path / "out"]
    changes = [
        "tasks=[made_number, made_turned]",
        "lengths=[16]",
        "train={examples: 48, validation_examples: 48, test_examples: 48, epochs: 8, lr: 5.0e-3}",
    ]
    assert results_here(tiny, *words, *[w for c in changes for w in ("--set", c)]) == 0
    found = {(r["cell"]["task"], r["cell"]["method"]): r for r in cells(tmp_path / "out").values()}
    assert [r["status"] for r in found.values()] == ["ok"] * 4
    for method in ("lora", "tfidf"):
        number, turned = (found[task, method]["scores"] for task in ("made_number", "made_turned"))
        assert (number["metric"], turned["metric"]) == ("spearman", "matthews")
        assert number["score"] > 0.7
        assert number["secondary"]["pearson"] > 0.7
        assert number["validation_score"] > 0.7
        assert turned["score"] < -0.7
        assert -1 <= turned["score_low"] <= turned["score"] <= turned["score_high"] < 0
        assert turned["validation_score"] > 0.7
        assert number["majority"] == turned["majority"] == 0
        assert len(found["made_number", method]["predictions"]["predicted"]) == 48


@pytest.mark.slow
def test_every_family_is_trained_and_judged(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "made.py").write_text(PLUGINS)
    words = ["--tasks-dir", tmp_path / "plugins", "--out", tmp_path / "out"]
    changes = [
        "tasks=[made_pair, made_choice, made_several]",
        "train={examples: 160, validation_examples: 8, test_examples: 40, epochs: 2, lr: 1.0e-2}",
    ]
    assert results_here(tiny, *words, *[w for c in changes for w in ("--set", c)]) == 0
    found = {(r["cell"]["task"], r["cell"]["method"]): r for r in cells(tmp_path / "out").values()}
    assert len(found) == 6
    for (task, method), result in found.items():
        scores = result["scores"]
        assert scores["metric"] == ("micro_f1" if task == "made_several" else "accuracy")
        # all three are told by one word: the linear model sees it, and so does the trained one
        assert scores["score"] > 0.75, (task, method, scores)
        assert len(result["predictions"]["predicted"]) == 40
