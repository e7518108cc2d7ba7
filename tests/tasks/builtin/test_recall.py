"""The value of the key asked for, by a dictionary; keys come once, and counts tell nothing."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from tasks import load_task
from tasks.builtin.synthetic.recall import texts
from tasks.conformance import violations
from tasks.lib.baseline import tfidf_baseline
from tasks.words import ADJECTIVES, COLOURS, NOUNS
from tests.tasks.repeats import pairs_of, undo_repeats
from tests.tasks.tokens import lengths


def look_up(text: str) -> tuple[int, int, int]:
    """(label, place of the pair, pairs) of a text, read as a list of pairs and a key."""
    *body, first, second = text.split()
    known = pairs_of(body)
    return *known[first, second], len(known)


@settings(max_examples=40, deadline=None)
@given(st.integers(34, 1600), st.booleans(), st.integers(0, 10**9))
def test_every_answer_is_that_of_a_dictionary(room: int, easier: bool, seed: int) -> None:
    pairs = (room - 2) // 4
    for text, label, note, _, position in texts(default_rng(seed), 8, room, easier=easier):
        found, place, count = look_up(text)
        assert found == label
        assert note == f"@{100 * place // pairs}"
        assert position == place / pairs
        assert (1 if easier else pairs) <= count <= pairs
        assert len(text.split()) == 4 * pairs + 2


def test_texts_to_learn_from_have_few_pairs_as_often_as_many_and_the_others_all() -> None:
    from scipy.stats import kstest

    splits = load_task("recall").splits(1024, 0)
    pairs = [look_up(text)[2] for text, *_ in texts(default_rng(0), 3000, 506, easier=True)]
    assert {1, 2, 3, 126} <= set(pairs)
    assert kstest(pairs, lambda n: np.log(n + 1) / np.log(127)).statistic < 0.17  # one: .14
    for part in (splits.validation, splits.test):
        assert {look_up(example.text)[2] for example in part[:100]} == {255}


def test_warm_up_repeats_the_tokens_of_shorter_texts() -> None:
    splits = load_task("recall").splits_under(512, 0, "warm_up")
    assert {undo_repeats(e.text)[0] for e in [*splits.validation[:500], *splits.test[:500]]} == {1}
    told = [undo_repeats(e.text) for e in splits.train[:1000]]
    assert {times for times, _ in told} == set(range(1, 510 // 62 + 1))
    few = 0
    for (times, one), example in zip(told, splits.train[:1000], strict=True):
        words = one.split()
        words = words[(len(words) - 2) % 4 :]  # the first word fills what is left
        assert 510 // times - 4 < len(words) <= 510 // times
        label, _, pairs = look_up(" ".join(words))
        assert label == example.label
        few += pairs < len(words) // 4
    assert few > 500
    assert lengths(e.text for e in splits.train[:200]) == {512}


def test_pairs_are_as_many_as_fit() -> None:
    task = load_task("recall")
    for length, pairs in ((64, 15), (69, 16), (4096, 1023)):
        assert look_up(task.splits(length, 0).test[0].text)[2] == pairs
    assert lengths(e.text for e in task.splits(67, 0).test[:100]) == {64}
    assert lengths(e.text for e in task.splits(508, 0).test[:100]) == {508}
    keys = len({*ADJECTIVES}) * len({*NOUNS})
    assert look_up(texts(default_rng(0), 1, 4 * keys + 9)[0].text)[2] == keys


def test_what_is_asked_for_lies_anywhere_and_counts_do_not_tell_it() -> None:
    from scipy.stats import chisquare, kstest

    splits = load_task("recall").splits(256, 0)
    examples = [*splits.validation, *splits.test]
    easier = texts(default_rng(0), 4000, 254, easier=True)
    for notes in ([example.id for example in examples], [drawn.note for drawn in easier]):
        places = [int(note.partition("@")[2]) / 100 for note in notes]
        assert kstest(places, "uniform").statistic < 0.04
    # The label's colour is among the most frequent ones as often as any other colour.
    most, expected = 0, 0.0
    for example in examples:
        counts = Counter(word for word in example.text.split() if word in COLOURS)
        top = {colour for colour, n in counts.items() if n == max(counts.values())}
        most += COLOURS[example.label] in top
        expected += len(top) / len(COLOURS)
    assert chisquare([most, 4000 - most], [expected, 4000 - expected]).pvalue > 0.01


def test_few_pairs_are_in_no_order_and_any_of_them_is_asked_for() -> None:
    from scipy.stats import chi2_contingency

    table = [[0] * 9 for _ in COLOURS]
    for text, label, *_ in texts(default_rng(1), 4000, 38):
        table[label][look_up(text)[1]] += 1
    assert chi2_contingency(table).pvalue > 0.001


@pytest.mark.parametrize("length", [64, 256])
def test_words_alone_do_not_tell_the_label(length: int) -> None:
    splits = load_task("recall").splits(length, 0)
    train, test = splits.train[:1000], splits.test[:1000]
    said = tfidf_baseline([e.text for e in train], [e.label for e in train], [e.text for e in test])
    right = sum(label == example.label for label, example in zip(said, test, strict=True))
    assert 0.08 < right / 1000 < 0.17  # chance is .125, four standard deviations .042


def test_conforms_at_the_shortest_length() -> None:
    assert violations(load_task("recall"), 64) == []


def test_seeds() -> None:
    one, same, two = (load_task("recall").splits(256, seed) for seed in (3, 3, 4))
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]
    for part in (one.train, one.test):
        numbers = Counter(e.label for e in part[:500])
        assert numbers == {k: 63 if k < 4 else 62 for k in range(8)}


def test_the_same_everywhere() -> None:
    """The texts are pinned: a change of them must raise the revision in the metadata."""
    task = load_task("recall")
    splits = task.splits(512, 0)
    told = [*splits.test[:50], *task.training(512, 0, "warm_up")[:50]]
    text = "\n".join(f"{e.id} {e.text} {e.label}" for e in told)
    assert task.metadata.revision == "generator:7"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "c57135bb493d2b51"
