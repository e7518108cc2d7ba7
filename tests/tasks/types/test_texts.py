"""What texts are made of, and the cards of tasks whose texts are read or written."""

from __future__ import annotations

import math
import re
from typing import ClassVar

import pytest
from pydantic import ValidationError

from tasks import Example, Splits, Task, TaskMetadata, load_task
from tasks.card import render_card, task_card
from tasks.conformance import violations
from tasks.lib.texts import bits
from tasks.types.base import Answered


def words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\S+", text)]


def test_bits_of_texts() -> None:
    alone, packed = bits(["abcd" * 250])
    assert alone == pytest.approx(2 * 1000)
    assert packed < 0.2 * alone  # it repeats itself
    assert bits(["aaaa"])[0] == 0


class Reading(Task):
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="reading",
        title="t",
        description="d",
        family="language_modelling",
        source="s",
        revision="r",
        licence="l",
        citation="c",
        natural_length=20,
        lengths=(12, 22),
    )

    def splits(self, length: int, seed: int) -> Splits:
        parts = [
            [
                Example(f"{p}{k}", " ".join(f"{p}{k}w{i * k % 7}" for i in range(20)))
                for k in range(9)
            ]
            for p in "abc"
        ]
        return Splits(parts[0][seed:] + parts[0][:seed], parts[1], parts[2])


class Answering(Reading):
    metadata = Reading.metadata.model_copy(
        update={"family": "generation", "chosen_metric": "exact_match", "answer_tokens": 2}
    )

    def splits(self, length: int, seed: int) -> Splits:
        def asked(part: list[Example]) -> list[Example]:
            answers = ["red", "red", "blue"]
            return [
                e._replace(second=f"which {k % 3}", answers=(answers[k % 3],))
                for k, e in enumerate(part)
            ]

        return Splits(*(asked(list(part)) for part in super().splits(length, seed)))


def test_the_card_of_texts_that_are_read_is_in_nats_a_token() -> None:
    card = task_card(Reading(), words, (12, 22))
    assert card["baselines"] == ["letters", "LZMA"]
    texts = [" ".join(e.text.split()[:10]) for e in Reading().splits(12, 0).test]
    assert card["rows"][0]["truncated"] == 1.0
    assert card["rows"][1]["truncated"] == 0.0
    expected = math.log(2) * bits(texts)[0] / (10 * len(texts))
    assert card["rows"][0]["majority"] == pytest.approx(expected)
    assert card["rows"][1]["tfidf"] < card["rows"][0]["tfidf"]
    assert "letters" in render_card(card)
    assert card["labels"] == {"train": {}, "validation": {}, "test": {}}


def test_the_card_of_texts_that_are_written() -> None:
    card = task_card(Answering(), words, (22,))
    (row,) = card["rows"]
    assert row["majority"] == pytest.approx(6 / 9)  # always "red"
    assert row["tfidf"] == 1.0  # the question's number is the nearest text's
    assert card["metric"] == "exact_match"


def test_the_nearest_text_lends_its_answer() -> None:
    known = Answered(["a ship at sea", "a car on a road"], [("boat",), ("auto", "car")])
    about = Answering.metadata
    said = about.task_type.baseline(known, ["the road", "the sea"], about)
    assert said == ["auto", "boat"]


def test_conformance_of_both_families() -> None:
    assert violations(Reading(), 22) == []
    assert violations(Answering(), 22) == []

    class Silent(Answering):
        def splits(self, length: int, seed: int) -> Splits:
            train, validation, test = super().splits(length, seed)
            return Splits(train, validation, [test[0]._replace(answers=(" ",)), *test[1:]])

    assert violations(Silent(), 22) == [
        "test has an example without an answer, or with an empty one"
    ]

    class Labelled(Reading):
        def splits(self, length: int, seed: int) -> Splits:
            train, validation, test = super().splits(length, seed)
            return Splits(train, validation, [test[0]._replace(answers=("x",)), *test[1:]])

    (found,) = violations(Labelled(), 22)
    assert "test fills 'answers', which the family language_modelling does not have" in found


@pytest.mark.parametrize(
    ("family", "more", "problem"),
    [
        ("generation", {"labels": ("a", "b")}, "generation has none"),
        ("essay", {}, "no task type 'essay': use one of choice, classification"),
        (
            "language_modelling",
            {"metric": "rouge_l"},
            "'rouge_l' is not one of",
        ),
        ("classification", {}, "at least two"),
    ],
)
def test_metadata_of_the_wrong_family(family: str, more: dict[str, object], problem: str) -> None:
    fields = Reading.metadata.model_dump(exclude={"labels", "chosen_metric"})
    with pytest.raises(ValueError, match=problem):
        TaskMetadata(**{**fields, "family": family, **more})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "two\nlines"),
        ("licence", " "),
        ("revision", ""),
        ("citation", "\x1b"),
        ("lengths", (40, 40)),
        ("lengths", (64, 40)),
        ("min_length", 50),
    ],
)
def test_metadata_says_something_in_every_field(field: str, value: object) -> None:
    given = load_task("needle").metadata.model_dump() | {"lengths": (32, 40)} | {"min_length": 32}
    TaskMetadata(**given)
    with pytest.raises(ValidationError, match=field if field != "min_length" else "lengths"):
        TaskMetadata(**given | {field: value})
