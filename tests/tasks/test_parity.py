"""Parity against a count, one word after the other."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import load_task
from tasks.baseline import tfidf_baseline
from tasks.conformance import violations
from tasks.lazy import _split_of
from tasks.parity import FEWEST, MOST

from .tokens import lengths


@settings(max_examples=20, deadline=None)
@given(st.integers(64, 2000), st.integers(0, 10**6), st.integers(0, 99_000))
def test_every_label_is_that_of_a_toggle(length: int, seed: int, place: int) -> None:
    part = load_task("parity").splits(length, seed).train
    for example in part[place : place + 20]:
        words = example.text.split()
        assert len(words) == length - 2
        assert set(words) == {"zero", "one"}
        state = reduce(lambda odd, word: not odd if word == "one" else odd, words, False)
        assert state == (example.label == 1)
        assert FEWEST <= words.count("one") <= MOST
        assert example.id.endswith(f"@{words.count('one')}")


def test_the_length_asked_for_is_the_length_given() -> None:
    for length in (64, 511):
        assert lengths(e.text for e in load_task("parity").splits(length, 0).test[:100]) == {length}


def test_ones_are_as_likely_in_number_and_anywhere() -> None:
    from scipy.stats import chisquare

    train = load_task("parity").splits(130, 0).train[:4000]
    numbers = Counter(example.text.split().count("one") for example in train)
    assert set(numbers) == set(range(FEWEST, MOST + 1))
    assert chisquare(list(numbers.values())).pvalue > 0.01
    places = Counter(k for e in train for k, word in enumerate(e.text.split()) if word == "one")
    assert len(places) == 128
    assert chisquare(list(places.values())).pvalue > 0.01


def test_counts_weigh_little() -> None:
    """A threshold on the ones is right for 9 of 16 numbers at best, which is .5625."""
    splits = load_task("parity").splits(128, 0)
    train, test = splits.train[:1000], splits.test[:1000]
    said = tfidf_baseline([e.text for e in train], [e.label for e in train], [e.text for e in test])
    right = sum(label == example.label for label, example in zip(said, test, strict=True))
    assert 0.43 < right / 1000 < 0.6


@pytest.mark.parametrize("length", [64, 128])
def test_conforms(length: int) -> None:
    assert violations(load_task("parity"), length) == []


def test_a_text_has_one_split_that_it_may_stand_in() -> None:
    splits = load_task("parity").splits(64, 0)
    for part, examples in splits._asdict().items():
        assert {_split_of(example.text) for example in examples[:600]} == {part}


def test_seeds() -> None:
    one, same, two = (load_task("parity").splits(256, seed) for seed in (3, 3, 4))
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]
    assert 900 < sum(example.label for example in one.train[:2000]) < 1100


def test_the_same_everywhere() -> None:
    """The texts are pinned: a change of them must raise the revision in the metadata."""
    task = load_task("parity")
    text = "\n".join(f"{e.id} {e.text} {e.label}" for e in task.splits(512, 0).test[:50])
    assert task.metadata.revision == "generator:1"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "dfde9913f43e0b1a"
