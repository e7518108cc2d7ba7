"""The baseline learns what is there to learn; the card says what the data is."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from tasks import Example, Splits, load_task
from tasks.baseline import tfidf_baseline
from tasks.card import render_card, task_card
from tasks.template import new_task


def words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\S+", text)]


def test_the_baseline_learns_a_word_and_is_deterministic() -> None:
    draw = random.Random(0)
    texts = [f"{['yes', 'no'][i % 2]} {draw.randrange(50)}" for i in range(80)]
    labels = [i % 2 for i in range(80)]
    predicted = tfidf_baseline(texts[:40], labels[:40], texts[40:])
    assert predicted == labels[40:]
    assert tfidf_baseline(texts[:40], labels[:40], texts[40:]) == predicted
    assert all(type(label) is int for label in predicted)


def test_the_baseline_reads_single_letters_and_operators() -> None:
    texts = ["x + y", "x - y"] * 10
    assert tfidf_baseline(texts, [0, 1] * 10, ["a - b", "a + b"]) == [1, 0]


def test_the_baseline_with_few_features_and_with_one_label() -> None:
    assert tfidf_baseline(["a b", "a c"] * 3, [0, 1] * 3, ["b", "c"], max_features=3) == [0, 1]
    assert tfidf_baseline(["a", "b"], [4, 4], ["c", "d"]) == [4, 4]


class Growing:
    """Stands for a task: ten words a text, of which the sixth tells the label."""

    from tasks import TaskMetadata

    metadata = TaskMetadata(
        name="growing",
        title="Growing",
        description="d",
        labels=("zero", "one"),
        source="s",
        revision="r",
        licence="l",
        citation="c",
        natural_length=10,
        lengths=(7, 8, 12),
        balanced=True,
    )

    def splits(self, length: int, seed: int) -> Splits:
        def part(name: str, size: int) -> list[Example]:
            draw = random.Random(name)
            return [
                Example(
                    f"{name}{i}",
                    " ".join(
                        f"key{i % 2}" if place == 5 else f"w{draw.randrange(9)}"
                        for place in range(10)
                    ),
                    i % 2,
                )
                for i in range(size)
            ]

        return Splits(part("a", 90), part("b", 20), part("c", 50))


def test_a_card_says_how_much_of_the_length_is_needed() -> None:
    card = task_card(Growing(), words, (7, 8, 12))  # type: ignore[arg-type]
    assert card["examples"] == {"train": 90, "validation": 20, "test": 50}
    assert card["labels"]["test"] == {"zero": 25, "one": 25}
    assert card["tokens"]["min"] == card["tokens"]["max"] == 10
    # Two special tokens are counted: at 7 the sixth word is cut, at 8 it is the last.
    short, enough, whole = card["rows"]
    assert short["truncated"] == enough["truncated"] == 1
    assert whole["truncated"] == 0
    assert short["tfidf"] < 0.75
    assert enough["tfidf"] == whole["tfidf"] == 1
    assert short["majority"] == 0.5
    assert json.loads(json.dumps(card)) == card
    shown = render_card(card)
    for part in ("growing: Growing", "50.0%", "truncated", "1.000", "median 10"):
        assert part in shown


def test_the_card_of_a_new_task(tmp_path: Path) -> None:
    new_task("mine", tmp_path)
    task = load_task("mine", tmp_path)
    card = task_card(task, words, (64, 128))
    assert [row["length"] for row in card["rows"]] == [64, 128]
    assert [row["truncated"] for row in card["rows"]] == [0, 0]
    assert all(0.6 < row["tfidf"] < 1 for row in card["rows"])


@pytest.mark.parametrize("name", ["newsgroups", "listops"])
def test_the_card_of_real_data(name: str) -> None:
    card = task_card(load_task(name), words, (64, 256))
    short, long = card["rows"]
    if name == "newsgroups":
        assert short["truncated"] == 1
        assert 0.3 < short["majority"] < 0.45
        assert 0.6 < short["tfidf"] < long["tfidf"] < 0.93
    else:
        assert card["examples"]["train"] == 96_000
        assert short["truncated"] == long["truncated"] == 0
        assert long["tfidf"] < 0.3
    assert render_card(card)
