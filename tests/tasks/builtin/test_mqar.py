"""The values of three keys, by a dictionary; any three are as likely, and counts tell nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from tasks import load_task
from tasks.builtin.synthetic.mqar import texts
from tasks.conformance import violations
from tasks.types.base import Answered
from tasks.words import COLOURS
from tests.tasks.repeats import pairs_of, undo_repeats
from tests.tasks.tokens import lengths


def look_up(text: str) -> tuple[list[int], list[int], int]:
    """(values of the keys asked for, places of their pairs, pairs) of a text."""
    words = text.split()
    body, question = words[:-8], [*words[-8:], "."]
    known = pairs_of(body)
    asked = list(zip(*[iter(question)] * 3, strict=True))
    assert {stop for _, _, stop in asked} == {"."}
    found = [known[adjective, noun] for adjective, noun, _ in asked]
    return [value for value, _ in found], [place for _, place in found], len(known)


@settings(max_examples=40, deadline=None)
@given(st.integers(40, 1600), st.booleans(), st.integers(0, 10**9))
def test_every_answer_is_that_of_a_dictionary(room: int, easier: bool, seed: int) -> None:
    pairs = (room - 8) // 4
    for text, _, _, labels, position in texts(default_rng(seed), 8, room, easier=easier):
        values, places, count = look_up(text)
        assert easier or position == min(places) / pairs
        assert labels == tuple(sorted(values))
        assert len(set(values)) == 3
        assert (3 if easier else pairs) <= count <= pairs
        assert len(text.split()) == 4 * pairs + 8


def test_any_three_colours_are_asked_for_in_any_order_and_any_of_their_pairs() -> None:
    from scipy.stats import chisquare, kstest

    drawn = [look_up(text) for text, *_ in texts(default_rng(0), 6000, 254)]
    sets = Counter(tuple(sorted(values)) for values, _, _ in drawn)
    assert chisquare([sets[three] for three in combinations(range(8), 3)]).pvalue > 0.001
    for slot in range(3):
        first = Counter(values[slot] for values, _, _ in drawn)
        assert chisquare([first[value] for value in range(8)]).pvalue > 0.001
        places = [(places[slot] + 0.5) / 61 for _, places, _ in drawn]
        assert kstest(places, "uniform").pvalue > 0.001
    few = [look_up(text)[1][0] for text, *_ in texts(default_rng(1), 6000, 44)]
    assert chisquare([Counter(few)[place] for place in range(9)]).pvalue > 0.001


def test_how_often_a_colour_occurs_does_not_tell_whether_it_is_asked_for() -> None:
    asked = []
    for text, _, _, labels, *_ in texts(default_rng(0), 4000, 94):
        counts = Counter(word for word in text.split() if word in COLOURS)
        most = max(counts[colour] for colour in COLOURS)
        top = [place for place, colour in enumerate(COLOURS) if counts[colour] == most]
        asked.append(sum(place in labels for place in top) / len(top))
    assert np.mean(asked) == pytest.approx(3 / 8, abs=0.03)  # four standard deviations


def test_warm_up_has_few_pairs_as_often_as_many_and_the_other_texts_all() -> None:
    splits = load_task("mqar").splits_under(512, 0, "warm_up")
    assert {look_up(e.text)[2] for e in [*splits.validation[:100], *splits.test[:100]]} == {125}
    told = [undo_repeats(e.text) for e in splits.train[:1000]]
    assert {times for times, _ in told} == set(range(1, 510 // 62 + 1))
    few = 0
    for (_, one), example in zip(told, splits.train[:1000], strict=True):
        words = one.split()
        words = words[len(words) % 4 :]  # the first word fills what is left
        values, _, pairs = look_up(" ".join(words))
        assert example.labels == tuple(sorted(values))
        few += pairs < len(words) // 8
    assert few > 400
    assert lengths(e.text for e in splits.train[:200]) == {510}


def test_lengths_are_filled() -> None:
    task = load_task("mqar")
    for length, pairs in ((64, 13), (69, 14), (4096, 1021)):
        assert look_up(task.splits(length, 0).test[0].text)[2] == pairs
    assert lengths(e.text for e in task.splits(67, 0).test[:100]) == {66}
    assert lengths(e.text for e in task.splits(508, 0).test[:100]) == {506}


def test_words_alone_do_not_tell_the_answer() -> None:
    task = load_task("mqar")
    splits = task.splits(64, 0)
    train, test = splits.train[:1000], splits.test[:500]
    known = Answered([e.text for e in train], [e.labels for e in train])
    said = task.metadata.task_type.baseline(known, [e.text for e in test], task.metadata)
    answers = [answer for answer in said if isinstance(answer, tuple)]
    named = sum(map(len, answers))
    right = sum(len(set(answer) & set(e.labels)) for answer, e in zip(answers, test, strict=True))
    assert named > 200
    assert right / named == pytest.approx(3 / 8, abs=0.1)


def test_conforms_at_the_shortest_length() -> None:
    assert violations(load_task("mqar"), 64) == []


def test_seeds() -> None:
    one, same, two = (load_task("mqar").splits(256, seed) for seed in (3, 3, 4))
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]


def test_the_same_everywhere() -> None:
    """The texts are pinned: a change of them must raise the revision in the metadata."""
    task = load_task("mqar")
    splits = task.splits(512, 0)
    told = [*splits.test[:50], *task.training(512, 0, "warm_up")[:50]]
    text = "\n".join(f"{e.id} {e.text} {e.labels}" for e in told)
    assert task.metadata.revision == "generator:2"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "a8c883eb16e0c89a"
