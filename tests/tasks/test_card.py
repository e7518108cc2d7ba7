"""The baseline learns what is there to learn; the card says what the data is."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import Example, Family, Splits, Task, load_task
from tasks.card import _excerpt, render_card, task_card
from tasks.lib.baseline import tfidf_baseline
from tasks.lib.texts import A_TOKEN
from tasks.template import new_task
from tests.made_up import metadata


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


class Growing(Task):
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
        min_length=7,
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
    card = task_card(Growing(), words, (7, 8, 12))
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


def _drawn(name: str, size: int) -> list[Example]:
    """Twelve words each; the third from the end tells the label."""
    draw = random.Random(name)
    made = []
    for i in range(size):
        words = [f"w{draw.randrange(9)}" for _ in range(12)]
        words[-3] = f"key{i % 2}"
        made.append(Example(f"{name}{i}", " ".join(words), i % 2))
    return made


class Several(Growing):
    """Two labels that the same word gives, and texts that have neither."""

    metadata = Growing.metadata.model_copy(update={"family": "multilabel"})

    def splits(self, length: int, seed: int) -> Splits:
        def part(name: str, size: int) -> list[Example]:
            return [e._replace(label=-1, labels=((0, 1), ())[e.label]) for e in _drawn(name, size)]

        return Splits(part("a", 90), part("b", 20), part("c", 50))


class Pair(Growing):
    """The first text is of six words and tells nothing; the second tells, near its end."""

    metadata = Growing.metadata.model_copy(update={"family": "pair"})

    def splits(self, length: int, seed: int) -> Splits:
        def part(name: str, size: int) -> list[Example]:
            return [e._replace(text="a b c d e f", second=e.text) for e in _drawn(name, size)]

        return Splits(part("a", 90), part("b", 20), part("c", 50))


class Choice(Growing):
    """The right answer is the word that is marked; it stands in the first place a third."""

    metadata = Growing.metadata.model_copy(update={"family": "choice", "labels": ()})

    def splits(self, length: int, seed: int) -> Splits:
        def part(name: str, size: int) -> list[Example]:
            return [
                e._replace(
                    label=int(i % 3 > 0),
                    second="q",
                    choices=("no", "yes yes") if i % 3 else ("yes yes", "no"),
                )
                for i, e in enumerate(_drawn(name, size))
            ]

        return Splits(part("a", 90), part("b", 21), part("c", 51))


def test_a_card_shows_an_example() -> None:
    card = task_card(Growing(), words, (7, 8))
    first = Growing().splits(7, 0).train[0]
    assert card["example"] == {"text": first.text, "answer": "zero"}
    assert f"example, its text: {first.text}\nexample, its answer: zero\n" in render_card(card)


@pytest.mark.parametrize(
    ("family", "fields", "answer"),
    [
        ("classification", {"label": 1}, "b"),
        ("pair", {"label": 0, "second": "and\x1b[31m"}, "a"),
        ("multilabel", {"labels": (0, 2)}, "a, c"),
        ("multilabel", {"labels": ()}, "(none)"),
        ("choice", {"label": 1, "choices": ("no", "yes\n")}, "yes"),
        ("generation", {"answers": ("red", "blue"), "second": "which?"}, "red"),
        ("language_modelling", {}, ""),
    ],
)
def test_an_excerpt_is_short_and_printable(
    family: Family, fields: dict[str, Any], answer: str
) -> None:
    text = f"begin\n{'x' * 500}\x1b[2J{'y' * 500} end\u202e"
    shown = _excerpt(metadata(family), Example("e", text, **fields))
    assert shown["answer"] == answer
    assert shown["text"].startswith("begin xxx")
    assert shown["text"].endswith("yyy end\\u202e")
    assert " … " in shown["text"]
    assert len(shown["text"]) < 250
    assert all(value.isprintable() for value in shown.values())
    assert ("second" in shown) == ("second" in fields)


def test_the_card_of_several_labels() -> None:
    card = task_card(Several(), words, (10, 14))
    assert card["metric"] == "micro_f1"
    assert card["labels"]["test"] == {"zero": 25, "one": 25, "(none)": 25}
    short, whole = card["rows"]
    assert whole["tfidf"] == 1
    assert short["tfidf"] < 0.9
    # Every text gets both labels, half of the texts have them: precision 1/2, recall 1.
    assert whole["majority"] == pytest.approx(2 / 3)
    shown = render_card(card)
    assert "(none)" in shown
    assert "micro_f1: first" in shown


def test_the_card_of_a_pair() -> None:
    # 6 + 12 words and 3 special tokens: the longer loses first, until both have half.
    card = task_card(Pair(), words, (18, 19, 21))
    assert card["tokens"]["median"] == 18
    lost, kept, whole = card["rows"]
    assert [row["truncated"] for row in card["rows"]] == [1, 1, 0]
    assert lost["tfidf"] < 0.9
    assert kept["tfidf"] == whole["tfidf"] == 1


def test_the_card_of_a_choice() -> None:
    # 12 words, a question of one and an answer of two: 15, and 3 special tokens.
    card = task_card(Choice(), words, (17, 18))
    assert card["labels"]["test"] == {"answer 1": 17, "answer 2": 34}
    assert card["tokens"]["max"] == 15
    assert [row["truncated"] for row in card["rows"]] == [1, 0]
    assert all(row["tfidf"] == 1 for row in card["rows"])
    assert card["rows"][0]["majority"] == pytest.approx(2 / 3)


@given(
    st.lists(st.integers(1, 60), max_size=60),
    st.lists(st.integers(0, 9), min_size=1, max_size=4),
)
def test_a_head_is_cut_as_the_whole_text_is(sizes: list[int], rooms: list[int]) -> None:
    """Words of these sizes fall into pieces whose size depends on the word's: none may be torn."""
    from tasks.card import _Ends

    def pieces(part: str) -> list[tuple[int, int]]:
        found = [m.span() for m in re.finditer(r"\S+", part)]
        steps = [(start, end, 1 + (end - start) % 7) for start, end in found]
        return [(i, min(i + k, end)) for start, end, k in steps for i in range(start, end, k)]

    text = " ".join("x" * size for size in sizes)
    ends = _Ends(pieces)
    whole = [end for _, end in pieces(text)]
    for room in rooms:
        expected = text[: [0, *whole][room]] if len(whole) > room else text
        assert ends.cut(text, room) == expected
    assert list(ends(text)) == whole


def test_a_long_text_is_not_read_to_its_end() -> None:
    from tasks.card import _Ends

    read: list[str] = []

    def noted(part: str) -> list[tuple[int, int]]:
        read.append(part)
        return words(part)

    ends = _Ends(noted)
    for room in (20, 10, 20):
        assert ends.cut("word " * 10_000, room) == " ".join(["word"] * room)
    assert [len(part) for part in read] == [A_TOKEN * 20 - 1]


def test_of_a_choice_the_text_alone_is_cut() -> None:
    from tasks.card import _Ends, _kept

    example = Example("e", "a b c d e f", 0, second="q", choices=("no", "yes yes"))
    ends = _Ends(words)
    assert _kept(example, ends, Choice.metadata, 8) == ["a b c\nq no", "a b\nq yes yes"]
    assert _kept(example, ends, Choice.metadata, 6) == ["a\nq no", "\nq yes yes"]
    assert _kept(example, ends, Choice.metadata, 12)[1] == "a b c d e f\nq yes yes"


@pytest.mark.parametrize("length", [5, 8, 9, 12, 13, 20, 40])
@pytest.mark.parametrize("sizes", [(3, 9), (9, 3), (5, 5), (4, 5), (12, 13)])
def test_a_pair_is_cut_as_the_tokenizer_cuts_it(length: int, sizes: tuple[int, int]) -> None:
    """The second implementation: drop the last token of the longer one until both fit."""
    from tasks.card import _Ends, _kept

    first, second = (["abcdefghijklm"[i] for i in range(size)] for size in sizes)
    example = Example("e", " ".join(first), 0, second=" ".join(second))
    kept = _kept(example, _Ends(words), Pair.metadata, length)[0].split("\n")
    while len(first) + len(second) > length - 3:
        (first if len(first) > len(second) else second).pop()
    assert sum(len(text.split()) for text in kept) == len(first) + len(second)
    assert sorted(len(text.split()) for text in kept) == sorted((len(first), len(second)))


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
