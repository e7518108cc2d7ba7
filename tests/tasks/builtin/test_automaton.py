"""The automaton against a walk by its rules, word by word, and what its orders give away."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from tasks import load_task
from tasks.builtin.synthetic.automaton import MARKS, TIMES, texts
from tasks.conformance import violations
from tasks.lib.baseline import tfidf_baseline
from tasks.words import FILLER
from tests.tasks.tokens import lengths


def walk(text: str) -> str:
    """The last state, by a table of what follows each state."""
    follows = {"": "red", "red": "blue", "blue": "green", "green": "white", "white": "black"}
    state = ""
    for word in text.split():
        if word == follows.get(state):
            state = word
    return state


def colours(text: str) -> list[str]:
    return [word for word in text.split() if word in MARKS]


@settings(max_examples=40, deadline=None)
@given(st.integers(15, 900), st.integers(0, 10**9), st.booleans())
def test_every_label_is_that_of_the_walk(room: int, seed: int, easier: bool) -> None:
    for text, label, *_ in texts(default_rng(seed), 10, room, easier=easier):
        assert MARKS[label] == walk(text)
        assert len(text.split()) == room
        assert set(text.split()) <= {*MARKS, *FILLER}
        there = colours(text)
        known = len(set(there))
        assert Counter(there) == dict.fromkeys(MARKS[:known], TIMES)
        assert known > label
        assert easier or known == len(MARKS)


def test_warm_up_repeats_the_tokens_of_shorter_texts_with_fewer_colours() -> None:
    splits = load_task("automaton").splits_under(512, 0, "warm_up")
    told, known = set(), set()
    for example in splits.train[:1000]:
        runs = [len([*run]) for _, run in groupby(example.text.split())]
        often = min(runs)
        # The first word fills what is left, and a word may follow itself.
        assert all(run % often == 0 for run in runs[1:])
        assert sum(run // often for run in runs) == 510 // often
        told.add(often)
        known.add(len(set(colours(example.text))))
        assert MARKS[example.label] == walk(example.text)
    assert told == set(range(1, 510 // 62 + 1))
    assert known == set(range(1, len(MARKS) + 1))


def test_the_length_asked_for_is_the_length_given() -> None:
    for length in (64, 511):
        splits = load_task("automaton").splits(length, 0)
        for part in (splits.train, splits.test):
            assert lengths(example.text for example in part[:100]) == {length}


def test_colours_lie_anywhere() -> None:
    from scipy.stats import chisquare

    splits = load_task("automaton").splits(130, 0)
    part = [*splits.validation, *splits.test]
    places = Counter(k for e in part for k, word in enumerate(e.text.split()) if word in MARKS)
    assert set(places) == set(range(128))
    tenths = Counter(place // 16 for place, n in places.items() for _ in range(n))
    assert chisquare([*tenths.values()]).pvalue > 0.01


def worth(orders: list[list[str]], labels: list[int], seen: Callable[[list[str]], object]) -> float:
    """How often a guess is right that knows of an order only what is `seen`."""
    table: dict[object, Counter[int]] = defaultdict(Counter)
    for order, label in zip(orders, labels, strict=True):
        table[seen(order)][label] += 1
    return sum(max(counts.values()) for counts in table.values()) / len(orders)


def test_a_guess_is_worth_what_the_task_says() -> None:
    drawn = texts(default_rng(0), 20_000, 62)
    orders, labels = [colours(one.text) for one in drawn], [one.label for one in drawn]
    for last, said in ((1, 0.48), (2, 0.53), (3, 0.63)):
        assert abs(worth(orders, labels, lambda order, n=last: tuple(order[-n:])) - said) < 0.02  # type: ignore[misc]
    assert worth(orders, labels, lambda order: tuple(sorted(order))) < 0.21


def test_words_alone_do_not_tell_the_label() -> None:
    splits = load_task("automaton").splits(64, 0)
    train, test = splits.validation[:1500], splits.test[:1000]
    said = tfidf_baseline([e.text for e in train], [e.label for e in train], [e.text for e in test])
    right = sum(label == example.label for label, example in zip(said, test, strict=True))
    assert 0.15 < right / 1000 < 0.26  # chance is .2; pairs of neighbours tell little


def test_conforms_at_the_shortest_length() -> None:
    assert violations(load_task("automaton"), 64) == []


def test_seeds() -> None:
    one, same, two = (load_task("automaton").splits(256, seed) for seed in (3, 3, 4))
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]
    assert Counter(e.label for e in one.train[:500]) == dict.fromkeys(range(5), 100)


def test_the_same_everywhere() -> None:
    """The texts are pinned: a change of them must raise the revision in the metadata."""
    task = load_task("automaton")
    splits = task.splits(512, 0)
    told = [*splits.test[:50], *task.training(512, 0, "warm_up")[:50]]
    text = "\n".join(f"{e.id} {e.text} {e.label}" for e in told)
    assert task.metadata.revision == "generator:5"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "5fc6e3cab27ae97f"
