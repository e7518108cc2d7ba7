"""Stories against a small world in which the facts are acted out, one after the other."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.builtin.synthetic import stories
from tasks.builtin.synthetic.stories import GIFTS, PEOPLE, PLACES, ROOMS, THINGS, Story

KINDS = [
    stories.one_fact,
    stories.two_facts,
    stories.one_of_many,
    stories.given,
    stories.given_of_many,
    stories.count,
]
_ANYBODY = "|".join(PEOPLE)
FACT = re.compile(
    rf"\b({_ANYBODY}) (?:went to the (\w+)|took the (\w+)|dropped the (\w+)"
    rf"|gave ({_ANYBODY}) the (\w+)) \."
)


def answer(facts: Iterable[str], question: str) -> str:
    """Act the facts out and answer the question about what the world is like at the end."""
    places: dict[str, list[str]] = {}
    holder: dict[str, str] = {}
    dropped: set[str] = set()
    gifts: dict[tuple[str, str], str] = {}
    for fact in facts:
        found = FACT.fullmatch(fact)
        assert found, fact
        who, to, taken, left, receiver, gift = found.groups()
        if to:
            assert to in (*PLACES, *ROOMS)
            places.setdefault(who, []).append(to)
        elif gift:
            assert gift in GIFTS
            assert (who, receiver) not in gifts
            assert gift not in gifts.values()
            gifts[who, receiver] = gift
        elif taken:
            assert taken in THINGS
            assert taken not in holder
            assert taken not in dropped
            holder[taken] = who
        else:
            assert holder.pop(left) == who
            dropped.add(left)
    if found := re.fullmatch(r"(\w+) gave (\w+) the", question):
        return gifts[found[1], found[2]]
    if found := re.fullmatch(r"the number of things that (\w+) has is", question):
        return ["none", "one", "two", "three"][list(holder.values()).count(found[1])]
    if found := re.fullmatch(r"before the (\w+) (\w+) went to the", question):
        own = places[found[2]]
        return own[own.index(found[1]) - 1]
    found = re.fullmatch(r"(\w+) last went to the", question)
    assert found, question
    return places[found[1]][-1]


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
    less = stories.fewer_facts(Random(seed), story)
    assert less.question == story.question
    assert less.answer == answer(less.facts, less.question)
    rest = iter(story.facts)
    assert all(fact in rest for fact in less.facts)  # in their order


@pytest.mark.parametrize(
    ("kind", "fewest", "most"),
    list(zip(KINDS, (1, 2, 1, 1, 1, 3), (6, 6, 6, 6, 6, 12), strict=True)),
)
def test_from_what_is_needed_alone_to_all(
    kind: Callable[[Random], Story], fewest: int, most: int
) -> None:
    draw = Random(0)
    numbers = Counter(len(stories.fewer_facts(draw, story).facts) for story in many(kind))
    assert (min(numbers), max(numbers)) == (fewest, most)
    assert min(numbers.values()) > 50


def many(kind: Callable[[Random], Story]) -> list[Story]:
    return [kind(Random(seed)) for seed in range(6000)]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_as_likely_and_words_do_not_tell_them(kind: Callable[[Random], Story]) -> None:
    from scipy.stats import chisquare

    told = many(kind)
    answers = Counter(story.answer for story in told)
    assert len(answers) == (4 if kind is stories.count else 6)
    assert chisquare(list(answers.values())).pvalue > 0.001
    for story in told:
        words = Counter(" ".join(story.facts).split())
        if kind is stories.count:
            assert (words["took"], words["dropped"], words["went"]) == (6, 3, 3)
            assert words[asked(story)] == 6
            took = Counter(fact.split()[0] for fact in story.facts if " took " in fact)
            assert all(words[who] == 2 * things for who, things in took.items())
        else:
            (named_once,) = [them for them in (GIFTS, PLACES) if story.answer in them]
            assert [words[one] for one in named_once] == [1] * 6
        if kind is stories.given:
            assert [n for word, n in words.items() if word in PEOPLE] == [4] * 3


@pytest.mark.parametrize(("kind", "share"), list(zip(KINDS, (1, 1, 1, 1, 1, 0.4), strict=True)))
def test_the_answer_needs_what_it_is_said_to_need(
    kind: Callable[[Random], Story], share: float
) -> None:
    """Without the facts about a place or thing that is needed the world gives another answer.

    Not always: a dropped thing counts for nothing.
    """
    other = []
    for story in many(kind)[:1000]:
        for word in story.needed:
            rest = [fact for fact in story.facts if f" {word} ." not in fact]
            assert len(rest) < len(story.facts)
            try:
                other.append(answer(rest, story.question) != story.answer)
            except (KeyError, ValueError):  # nobody knows any more
                other.append(True)
    assert sum(other) / len(other) >= share


def test_guesses_are_right_as_often_as_the_tasks_say() -> None:
    right: dict[str, float] = defaultdict(float)
    for story in many(stories.one_fact):
        right["one, named last"] += story.answer == named(story)[-1]
    for story in many(stories.two_facts):
        places, then = named(story), story.question.split()[2]
        others = [place for place in his(story) if place != then]
        assert len(others) == 2
        right["two, another of his"] += others[0] == story.answer
        right["two, named just before"] += places[places.index(then) - 1] == story.answer
        right["two, an earlier one of his"] += 1 / his(story).index(then)
        right["two, named first"] += places[0] == story.answer
    for story in many(stories.given):
        giver, taker = (word for word in story.question.split() if word in PEOPLE)
        for guess, found in {
            "gave, of the giver's the first": rf"^{giver} ",
            "gave, of the taker's the first": rf" gave {taker} ",
            "gave, of the two people's the first": rf"^({giver}|{taker}) gave ({giver}|{taker}) ",
            "gave, of all the last": "",
        }.items():
            gifts = [fact.split()[-2] for fact in story.facts if re.search(found, fact)]
            assert story.answer in gifts
            assert len(gifts) == (2 if found else 6)
            right[guess] += gifts[0 if found else -1] == story.answer
    shares = {guess: n / 6000 for guess, n in right.items()}
    expected = {
        "one, named last": 1 / 3,
        "two, another of his": 0.5,
        "two, named just before": 0.5,
        "two, an earlier one of his": 0.75,
        "two, named first": 0.25,
        "gave, of the giver's the first": 0.5,
        "gave, of the taker's the first": 0.5,
        "gave, of the two people's the first": 0.5,
        "gave, of all the last": 1 / 6,
    }
    assert shares == pytest.approx(expected, abs=0.02)


def test_a_part_of_the_facts_tells_a_part_of_the_count() -> None:
    told = many(stories.count)

    def worth(sign: Callable[[Story], object]) -> float:
        """How often the answer is right that is the likeliest where a story has this sign."""
        seen: dict[object, Counter[str]] = defaultdict(Counter)
        for story in told:
            seen[sign(story)][story.answer] += 1
        return sum(max(answers.values()) for answers in seen.values()) / len(told)

    def verbs(story: Story) -> list[str]:
        return [fact.split()[1] for fact in story.facts if fact.startswith(f"{asked(story)} ")]

    for last, expected in {1: 0.5, 2: 0.61, 3: 0.76, 6: 1}.items():
        found = worth(lambda story, last=last: tuple(verbs(story)[-last:]))
        assert found == pytest.approx(expected, abs=0.02)
    end = worth(lambda story: (story.facts[-1].split()[1], asked(story) in story.facts[-1].split()))
    assert end == pytest.approx(0.5, abs=0.02)
    often = worth(lambda story: tuple(sorted(Counter(f.split()[0] for f in story.facts).values())))
    assert often == pytest.approx(0.25, abs=0.02)


def test_gifts_and_givers_stand_in_any_order() -> None:
    from scipy.stats import chisquare

    told = many(stories.given)
    where = Counter((k, gift) for story in told for k, gift in enumerate(named(story)))
    assert len(where) == 36
    assert chisquare(list(where.values())).pvalue > 0.001
    again = [story.facts[0].split()[0] == story.facts[1].split()[0] for story in told]
    assert sum(again) / len(again) == pytest.approx(1 / 5, abs=0.02)


def test_people_and_things_are_many_and_apart() -> None:
    assert len(set(PEOPLE)) == len(PEOPLE) > 100
    assert len(set(THINGS)) == len(THINGS) > 70
    assert {*THINGS, *GIFTS}.isdisjoint({*PEOPLE, *PLACES, *ROOMS})
    assert len({*PEOPLE, *PLACES, *ROOMS}) == len(PEOPLE) + len(PLACES) + len(ROOMS)
    seen = Counter(story.facts[0].split()[0] for story in many(stories.count))
    assert set(seen) == set(PEOPLE)


def asked(story: Story) -> str:
    """Who is asked about."""
    return next(word for word in story.question.split() if word in PEOPLE)


def named(story: Story) -> list[str]:
    return [fact.split()[-2] for fact in story.facts]


def his(story: Story) -> list[str]:
    """Places that the one asked about went to."""
    return [fact.split()[-2] for fact in story.facts if fact.startswith(f"{asked(story)} ")]
