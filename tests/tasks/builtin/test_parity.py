"""Parity against a count, one word after the other."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import reduce

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from tasks import load_task
from tasks.builtin.synthetic.parity import DIGITS, FIXED, texts
from tasks.conformance import violations
from tasks.lib.baseline import tfidf_baseline
from tasks.words import FILLER
from tests.tasks.tokens import lengths


def digits(text: str) -> tuple[int, int]:
    """How often each of its five digits stands in a text, and how many of the five are ones."""
    words = text.split()
    zeros, ones = words.count("zero"), words.count("one")
    times, rest = divmod(zeros + ones, DIGITS)
    assert times >= 1, text
    assert rest == zeros % times == ones % times == 0
    return times, ones // times


@settings(max_examples=40, deadline=None)
@given(st.integers(62, 2000), st.data(), st.integers(0, 10**9))
def test_every_label_is_that_of_a_toggle(room: int, data: st.DataObject, seed: int) -> None:
    most = data.draw(st.integers(1, room // DIGITS))
    for text, label, note, *_ in texts(default_rng(seed), 20, room, most):
        words = text.split()
        assert len(words) == room
        assert set(words) <= {*FIXED, *FILLER}
        times, ones = digits(text)
        assert times <= most
        assert note == f"@{ones}"
        # Toggled by each one as often as it is told: an even number of times, that says nothing.
        if times % 2:
            state = reduce(lambda odd, word: not odd if word == "one" else odd, words, False)
            assert state == (label == 1)
        assert label == ones % 2


def test_repeat_tokens_repeats_the_digits_of_training_texts_only() -> None:
    from scipy.stats import kstest

    splits = load_task("parity").splits_under(512, 0, "repeat_tokens")
    times = [digits(example.text)[0] for example in splits.train[:2000]]
    assert {1, 2, 3, 102} <= set(times)
    assert kstest(times, lambda n: np.log(n + 1) / np.log(103)).statistic < 0.17  # one: .15
    for part in (load_task("parity").splits(512, 0).train, splits.validation, splits.test):
        assert {digits(example.text)[0] for example in part[:200]} == {1}


def test_the_length_asked_for_is_the_length_given() -> None:
    for length in (64, 511):
        assert lengths(e.text for e in load_task("parity").splits(length, 0).test[:100]) == {length}


def test_ones_are_as_likely_in_number_and_digits_lie_anywhere() -> None:
    from scipy.stats import chisquare

    test = load_task("parity").splits(130, 0).test[:4000]
    numbers = Counter(digits(example.text)[1] for example in test)
    assert set(numbers) == set(range(DIGITS + 1))
    found = [numbers[0] + numbers[DIGITS], *(numbers[k] for k in range(1, DIGITS))]
    assert chisquare(found).pvalue > 0.01
    for digit in ("zero", "one"):
        places = Counter(k for e in test for k, word in enumerate(e.text.split()) if word == digit)
        assert len(places) == 128
        assert chisquare(list(places.values())).pvalue > 0.01


def test_counts_weigh_little() -> None:
    """A threshold on the ones is right for 6 texts of 10 at best, which is .6."""
    splits = load_task("parity").splits(128, 0)
    train, test = splits.train[:1000], splits.test[:1000]
    said = tfidf_baseline([e.text for e in train], [e.label for e in train], [e.text for e in test])
    right = sum(label == example.label for label, example in zip(said, test, strict=True))
    assert 0.43 < right / 1000 < 0.65


def test_conforms_at_the_shortest_length() -> None:
    assert violations(load_task("parity"), 64) == []


def test_seeds() -> None:
    one, same, two = (load_task("parity").splits(256, seed) for seed in (3, 3, 4))
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]
    assert 900 < sum(example.label for example in one.train[:2000]) < 1100


def test_the_same_everywhere() -> None:
    """The texts are pinned: a change of them must raise the revision in the metadata."""
    task = load_task("parity")
    splits = task.splits(512, 0)
    kept = [*task.training(512, 0, "warm_up")[:50], *splits.test[:50]]
    text = "\n".join(f"{e.id} {e.text} {e.label}" for e in kept)
    assert task.metadata.revision == "generator:4"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "1c9a6f4f7fdb2b5c"
