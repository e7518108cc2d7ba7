"""Stories against a small world in which the facts are acted out, one after the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import stories
from tasks.stories import CROWD, PLACES, THINGS, Story

KINDS = [
    stories.one_fact,
    stories.two_facts,
    stories.one_of_two,
    stories.yes_or_no,
    stories.count,
]
FACT = re.compile(rf"\b({'|'.join(CROWD)}) (?:went to the (\w+)|took the (\w+)|dropped the (\w+))")


def answer(facts: Iterable[str], question: str) -> str:
    """Act the facts out and answer the question about what the world is like at the end."""
    place: dict[str, str] = {}
    holder: dict[str, str] = {}
    dropped: set[str] = set()
    for fact in facts:
        found = FACT.fullmatch(fact)
        assert found, fact
        who, to, taken, left = found.groups()
        if to:
            assert to in PLACES
            place[who] = to
        elif taken:
            assert taken not in holder
            assert taken not in dropped
            holder[taken] = who
        else:
            assert holder.pop(left) == who
            dropped.add(left)
    if found := re.fullmatch(r"is (\w+) in the (\w+) \?", question):
        return "yes" if place[found[1]] == found[2] else "no"
    if found := re.fullmatch(r"how many things does (\w+) have \?", question):
        return ["none", "one", "two", "three"][list(holder.values()).count(found[1])]
    found = re.fullmatch(r"where is (?:the )?(\w+) \?", question)
    assert found, question
    if found[1] in CROWD:
        return place[found[1]]
    assert found[1] in THINGS
    return place[holder[found[1]]]


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**40))
def test_every_answer_is_that_of_the_world(kind: Callable[[Random], Story], seed: int) -> None:
    story = kind(Random(seed))
    assert story.answer == answer(story.facts, story.question)
    assert kind(Random(seed)) == story


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**40))
def test_an_easier_story_has_some_of_the_facts_and_the_same_answer(
    kind: Callable[[Random], Story], seed: int
) -> None:
    story = kind(Random(seed))
    less = stories.easier(Random(seed), story)
    assert less.question == story.question
    assert less.answer == answer(less.facts, less.question)
    rest = iter(story.facts)
    assert all(fact in rest for fact in less.facts)  # in their order


@pytest.mark.parametrize(
    ("kind", "fewest", "most"), list(zip(KINDS, (1, 2, 1, 1, 3), (6, 9, 9, 6, 9), strict=True))
)
def test_from_what_is_needed_alone_to_all(
    kind: Callable[[Random], Story], fewest: int, most: int
) -> None:
    draw = Random(0)
    numbers = Counter(len(stories.easier(draw, story).facts) for story in many(kind))
    assert (min(numbers), max(numbers)) == (fewest, most)
    assert min(numbers.values()) > 50


def many(kind: Callable[[Random], Story]) -> list[Story]:
    return [kind(Random(seed)) for seed in range(6000)]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_as_likely_and_words_do_not_tell_them(kind: Callable[[Random], Story]) -> None:
    from scipy.stats import chisquare

    told = many(kind)
    answers = Counter(story.answer for story in told)
    assert chisquare(list(answers.values())).pvalue > 0.001
    for story in told:
        words = Counter(" ".join(story.facts).split())
        if kind is not stories.count:
            assert [words[place] for place in PLACES] == [1] * 6
        else:
            assert (words["took"], words["dropped"]) == (6, 3)


def test_the_answer_needs_what_it_is_said_to_need() -> None:
    one = Counter(len(story.facts) for story in many(stories.one_fact))
    assert one == {6: 6000}
    two = many(stories.two_facts)
    # A guess at one of those who took something, and at the one who took most: as FactsTwo says.
    taken = [Counter(f.split()[0] for f in s.facts if " took the " in f) for s in two]
    assert sum(1 / len(who) for who in taken) / len(two) == pytest.approx(0.42, abs=0.02)
    assert sum(max(who.values()) / 3 for who in taken) / len(two) == pytest.approx(0.49, abs=0.02)
    # Neither the place named first nor the one named last is the answer more often than another.
    for place in (0, -1):
        named = [[f.split()[-1] for f in s.facts if " went to " in f][place] for s in two]
        assert 0.14 < sum(n == s.answer for n, s in zip(named, two, strict=True)) / len(two) < 0.19
    no = [story for story in many(stories.yes_or_no) if story.answer == "no"]
    was = sum(f"went to {story.question.split(' in ')[1][:-2]}" in his(story) for story in no)
    assert 0.45 < was / len(no) < 0.55


def his(story: Story) -> str:
    who = story.question.split()[1]
    return " ".join(fact for fact in story.facts if fact.startswith(who))
