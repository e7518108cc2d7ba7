"""The needle's colour, read a second way; its place is uniform, and words alone do not tell it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from tasks import Example, load_task
from tasks.builtin.synthetic.needle import texts
from tasks.conformance import violations
from tasks.lib.baseline import tfidf_baseline
from tasks.words import ALL, COLOURS, FILLER, NOUNS
from tests.tasks.repeats import undo_repeats
from tests.tasks.tokens import lengths, tokenizer

ANY = "|".join(COLOURS)


def answer(text: str) -> tuple[str, int]:
    """(colour, place of its statement in words) of the thing that the end names."""
    body, thing = re.fullmatch(r"(.*) the (\w+) is", text, re.DOTALL).groups()  # type: ignore[union-attr]
    found = list(re.finditer(rf"\bthe {thing} is ({ANY}) \.", body))
    assert len(found) == 1
    return found[0][1], len(body[: found[0].start()].split())


@settings(max_examples=40, deadline=None)
@given(st.integers(62, 700), st.integers(0, 10**9), st.integers(1, 8))
def test_every_answer_is_in_the_text(room: int, seed: int, fewest: int) -> None:
    for text, label, note, _, position in texts(default_rng(seed), 8, room, fewest=fewest):
        colour, place = answer(text)
        assert colour == COLOURS[label]
        assert note == f"@{100 * place // (room - 3)}"
        assert position == place / (room - 3)
        assert len(text.split()) == room
        said = re.findall(rf"\bthe (\w+) is ({ANY}) \.", text)
        assert fewest <= len(said) == len(dict(said)) == len(set(dict(said).values()))
        assert Counter(text.split())["the"] == len(said) + 1


@pytest.mark.parametrize("length", [64, 777])
def test_the_length_asked_for_is_the_length_given(length: int) -> None:
    splits = load_task("needle").splits(length, 0)
    for part in (splits.train, splits.test):
        assert lengths(e.text for e in part[:200]) == {length}


def test_warm_up_repeats_the_tokens_of_shorter_texts() -> None:
    splits = load_task("needle").splits_under(512, 0, "warm_up")
    assert {undo_repeats(e.text)[0] for e in [*splits.validation[:500], *splits.test[:500]]} == {1}
    told = [undo_repeats(e.text) for e in splits.train[:1000]]
    assert {times for times, _ in told} == set(range(1, 510 // 62 + 1))
    for (times, one), example in zip(told, splits.train[:1000], strict=True):
        assert len(one.split()) == 510 // times
        assert answer(one)[0] == COLOURS[example.label]


def test_every_word_is_one_token() -> None:
    from tasks.builtin.synthetic import needle, pairs, parity

    for words in (*ALL, needle.FIXED, parity.FIXED, pairs.FIXED):
        for word in words:
            assert tokenizer().tokenize(f"a {word}") == ["a", word]
    for kind in (NOUNS, FILLER, COLOURS):
        assert len(set(kind)) == len(kind)
    assert not set(NOUNS) & set(FILLER)
    assert not set(COLOURS) & {*NOUNS, *FILLER}
    assert not {"the", "is", "."} & {*NOUNS, *FILLER, *COLOURS}


def test_warm_up_has_one_to_eight_statements_and_the_other_texts_eight() -> None:
    from scipy.stats import chisquare

    splits = load_task("needle").splits_under(256, 0, "warm_up")
    told = [undo_repeats(e.text)[1] for e in splits.train[:4000]]
    numbers = Counter(len(re.findall(rf" is ({ANY}) ", text)) for text in told)
    assert set(numbers) == set(range(1, 9))
    assert chisquare(list(numbers.values())).pvalue > 0.01
    for part in (splits.validation, splits.test):
        assert {len(re.findall(rf" is ({ANY}) ", e.text)) for e in part[:500]} == {8}


def places(examples: list[Example]) -> list[int]:
    return [int(example.id.partition("@")[2]) for example in examples]


@pytest.mark.parametrize("length", [128, 1024])
def test_the_needle_lies_anywhere_whatever_the_label(length: int) -> None:
    from scipy.stats import chi2_contingency, kstest

    train = load_task("needle").splits(length, 0).train[:4000]
    found = places(train)
    assert kstest([place / 100 for place in found], "uniform").statistic < 0.06
    table = [[0] * 4 for _ in COLOURS]
    for place, example in zip(found, train, strict=True):
        table[example.label][min(3, place // 25)] += 1
    assert chi2_contingency(table).pvalue > 0.001


@pytest.mark.parametrize("length", [64, 256])
def test_words_alone_do_not_tell_the_label(length: int) -> None:
    splits = load_task("needle").splits(length, 0)
    train, test = splits.train[:1000], splits.test[:1000]
    said = tfidf_baseline([e.text for e in train], [e.label for e in train], [e.text for e in test])
    right = sum(label == example.label for label, example in zip(said, test, strict=True))
    assert 0.08 < right / 1000 < 0.17  # chance is .125, four standard deviations .042


def test_conforms_at_the_shortest_length() -> None:
    assert violations(load_task("needle"), 64) == []


def test_seeds() -> None:
    one, same, two = (load_task("needle").splits(256, seed) for seed in (3, 3, 4))
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]
    for part in (one.train, one.test):
        numbers = Counter(e.label for e in part[:500])
        assert numbers == {k: 63 if k < 4 else 62 for k in range(8)}


def test_the_same_everywhere() -> None:
    """The texts are pinned: a change of them must raise the revision in the metadata."""
    task = load_task("needle")
    splits = task.splits(512, 0)
    told = [*splits.test[:50], *task.training(512, 0, "warm_up")[:50]]
    text = "\n".join(f"{e.id} {e.text} {e.label}" for e in told)
    assert task.metadata.revision == "generator:6"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "4f9181721ae4fb50"
