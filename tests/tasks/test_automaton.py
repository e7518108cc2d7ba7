"""The automaton against a walk by its rules, letter by letter, and a look at its group."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from tasks import load_task
from tasks.automaton import FEWEST, MOST, MOVES, STATES, texts
from tasks.baseline import tfidf_baseline
from tasks.conformance import violations

from .tokens import lengths


def walk(text: str) -> tuple[str, int]:
    """(last state, moves made) by the rules in words: x goes round the circle, y swaps a and b.

    A letter that is the same as the one before it is passed over.
    """
    state, *letters = [letter for letter, _ in groupby(text.split())]
    assert state in "abcde"
    moves = 0
    for letter in letters:
        assert letter in "fghijklmnopqrstuvwxy"
        moves += letter in "xy"
        if letter == "x":
            state = {"a": "b", "b": "c", "c": "d", "d": "e", "e": "a"}[state]
        if letter == "y":
            state = {"a": "b", "b": "a"}.get(state, state)
    return state, moves


@settings(max_examples=40, deadline=None)
@given(st.integers(62, 900), st.integers(0, 10**9), st.integers(0, MOST))
def test_every_label_is_that_of_the_walk(room: int, seed: int, fewest: int) -> None:
    for text, label, note in texts(default_rng(seed), 10, room, fewest=fewest):
        state, moves = walk(text)
        assert STATES[label] == state
        assert fewest <= moves <= MOST
        assert note == f"@{moves}"
        assert len(text.split()) == room
        assert "x x" not in text
        assert "y y" not in text


def test_training_texts_are_short_ones_each_letter_told_once_to_as_often_as_fits() -> None:
    splits = load_task("automaton").splits(512, 0)
    told = []
    for example in splits.train[:1000]:
        runs = [len([*run]) for _, run in groupby(example.text.split())]
        often = min(runs)
        # The first letter fills what is left, and an idle letter may follow itself.
        assert all(run % often == 0 for run in runs[1:])
        assert sum(run // often for run in runs) == 510 // often
        told.append(often)
        state, moves = walk(example.text)
        assert STATES[example.label] == state
        assert example.id.endswith(f"@{moves}")
    assert set(told) == set(range(1, 510 // 62 + 1))


def test_the_moves_generate_all_permutations_of_five_states() -> None:
    found, new = {"abcde"}, {"abcde"}
    while new:
        new = {
            "".join(to["abcde".index(state)] for state in one)
            for one in new
            for to in MOVES.values()
        } - found
        found |= new
    assert len(found) == 120


def test_the_length_asked_for_is_the_length_given() -> None:
    for length in (64, 511):
        splits = load_task("automaton").splits(length, 0)
        for part in (splits.train, splits.test):
            assert lengths(example.text for example in part[:100]) == {length}


def test_moves_lie_anywhere_and_first_states_are_as_likely() -> None:
    from scipy.stats import chisquare

    splits = load_task("automaton").splits(130, 0)
    once = load_task("automaton").splits(64, 0).train[:4000]  # no longer one is told once
    test = [*splits.validation, *splits.test]
    for part, fewest in ((once, 0), (test, FEWEST)):
        places = Counter(k for e in part for k, word in enumerate(e.text.split()) if word in "xy")
        assert set(places) == set(range(1, len(part[0].text.split())))
        numbers = Counter(int(e.id.split("@")[1]) for e in part)
        assert set(numbers) == set(range(fewest, MOST + 1))
        for values in (places, numbers, Counter(e.text[0] for e in part)):
            assert chisquare(list(values.values())).pvalue > 0.01


def test_letters_alone_do_not_tell_the_label() -> None:
    splits = load_task("automaton").splits(64, 0)
    train, test = splits.train[:1000], splits.test[:1000]
    said = tfidf_baseline([e.text for e in train], [e.label for e in train], [e.text for e in test])
    right = sum(label == example.label for label, example in zip(said, test, strict=True))
    assert 0.15 < right / 1000 < 0.4  # chance is .2; of one move counts tell much, of five little


@pytest.mark.parametrize("length", [64, 128])
def test_conforms(length: int) -> None:
    assert violations(load_task("automaton"), length) == []


def test_seeds() -> None:
    one, same, two = (load_task("automaton").splits(256, seed) for seed in (3, 3, 4))
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]
    assert Counter(e.label for e in one.train[:500]) == dict.fromkeys(range(5), 100)


def test_the_same_everywhere() -> None:
    """The texts are pinned: a change of them must raise the revision in the metadata."""
    task = load_task("automaton")
    splits = task.splits(512, 0)
    told = [*splits.test[:50], *splits.train[:50]]
    text = "\n".join(f"{e.id} {e.text} {e.label}" for e in told)
    assert task.metadata.revision == "generator:3"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "830a9f862c9f30bd"
