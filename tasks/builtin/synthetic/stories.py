"""Small stories of people, places and things, with a question whose answer they tell.

In the manner of bAbI (Weston et al., 2015), tasks 1, 5 and 7, and of the question of its task 3.
Which words a story uses, and how often, does not depend on the answer, unless it was made easier:
who did what, and in which order, does. Names are drawn from many, and a fact ends in a full stop:
so a model learned sooner who did what. A question is the beginning of a sentence, and its answer
the next word: to tell that is what language models were trained for (`docs/learned.md`).
"""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import NamedTuple

_PEOPLE = """
aaron adam albert alice amanda andrew angela anna arthur benjamin betty brian carl carolyn catherine
charles christina daniel david deborah dennis diane donna dorothy edward emily emma eric eugene
frank fred gary george gregory heather helen henry jacob james jane janet jason jeffrey jennifer
jeremy jessica joan john joseph joyce judith julie karen keith kelly kevin kyle larry laura lauren
linda lisa louis margaret maria martha mary matthew megan melissa michael nancy nathan nicole pamela
patrick paul peter philip rachel ralph rebecca richard robert roger russell ruth samantha samuel
sandra sarah scott sharon stephen steven susan teresa thomas tyler victoria walter william
"""
PEOPLE = tuple(_PEOPLE.split())

_THINGS = """
apple bag ball basket belt blanket book bottle bread brush bucket butter button cake camera candle
card cheese clock coat coffee coin cup doll drum egg flag flute football guitar hammer hat jacket
key knife lamp lemon letter magazine map milk mirror needle newspaper onion orange pen pencil phone
piano picture pillow pipe plate potato radio ring rope salt scarf shirt shoe soap spoon sugar sword
tea thread ticket tie towel toy umbrella violin watch wheel
"""
THINGS = tuple(_THINGS.split())

GIFTS = ("apple", "book", "football", "hat", "key", "milk")
NUMBERS = ("none", "one", "two", "three")
PLACES = ("airport", "beach", "castle", "circus", "farm", "museum")
"""Less alike than the rooms of a house, and seldom named in postings."""
ROOMS = ("kitchen", "garden", "office", "bathroom", "bedroom", "hallway")


class Story(NamedTuple):
    """Facts in the order in which they happened, a question about them, and the answer.

    `needed` are the places and things without whose facts the answer might be another, or guessed.
    """

    facts: list[str]
    question: str
    answer: str
    needed: frozenset[str]


def easier(draw: Random, story: Story) -> Story:
    """Leave out any number of the facts, from none to all that are not needed."""
    share = draw.random()
    words = dict.fromkeys(map(_about, story.facts))
    kept = {word for word in words if word in story.needed or draw.random() < share}
    return story._replace(facts=[fact for fact in story.facts if _about(fact) in kept])


def _about(fact: str) -> str:
    return fact.split()[-2]


def one_fact(draw: Random) -> Story:
    """Where somebody is. Everyone goes to two of the places, and nobody where another went."""
    facts, places = _walks(draw)
    who = draw.choice(list(places))
    return Story(facts, f"{who} last went to the", places[who][-1], frozenset(places[who][-1:]))


def two_facts(draw: Random) -> Story:
    """Where somebody was before he went to a place. Two people go to three places each."""
    facts, places = _walks(draw, 2)
    who = draw.choice(list(places))
    k = draw.randrange(2)
    before, then = places[who][k : k + 2]
    return Story(facts, f"before the {then} {who} went to the", before, frozenset([before, then]))


def one_of_many(draw: Random) -> Story:
    """Where somebody is. Six people are in a place each: who reads one fact knows the answer."""
    facts, places = _walks(draw, len(PLACES))
    who = draw.choice(list(places))
    return Story(facts, f"{who} last went to the", places[who][0], frozenset(places[who]))


def given(draw: Random) -> Story:
    """What somebody gave somebody. Each of three people gave each of the others a thing."""
    pairs = list(permutations(draw.sample(PEOPLE, 3), 2))
    draw.shuffle(pairs)
    return _gifts(draw, pairs)


def given_of_many(draw: Random) -> Story:
    """What somebody gave somebody. Six people gave a thing each, to six others."""
    people = draw.sample(PEOPLE, 2 * len(GIFTS))
    return _gifts(draw, list(zip(people[::2], people[1::2], strict=True)))


def count(draw: Random) -> Story:
    """How many things somebody has. He took three of six, and three of the six were dropped.

    Whose thing it is that was not dropped, he went somewhere instead: so everybody stands in two
    facts for each thing he took, whatever the answer.
    """
    who, *others = draw.sample(PEOPLE, 3)
    things, places = draw.sample(THINGS, 6), draw.sample(ROOMS, 3)
    owners = [who] * 3 + draw.choices(others, k=3)
    left = draw.randrange(4)
    # He keeps so many of his, which are the first three; the others drop as many of theirs.
    drops = [left <= k < 3 + left for k in range(6)]
    went = [owner for owner, drop in zip(owners, drops, strict=True) if not drop]
    acts = [
        (owner, [f"took the {thing} .", *[f"dropped the {thing} ."] * drop])
        for owner, thing, drop in zip(owners, things, drops, strict=True)
    ]
    acts += [(one, [f"went to the {place} ."]) for one, place in zip(went, places, strict=True)]
    facts = _in_turns(draw, acts)
    question = f"the number of things that {who} has is"
    return Story(facts, question, NUMBERS[left], frozenset(things[:3]))


def _gifts(draw: Random, pairs: list[tuple[str, str]]) -> Story:
    """Six (giver, taker), as told, with a thing each, and the question about one of them."""
    gifts = draw.sample(GIFTS, len(pairs))
    facts = [f"{a} gave {b} the {gift} ." for (a, b), gift in zip(pairs, gifts, strict=True)]
    asked = draw.randrange(len(pairs))
    giver, taker = pairs[asked]
    needed = frozenset([gifts[asked]])
    return Story(facts, f"{giver} gave {taker} the", gifts[asked], needed)


def _walks(draw: Random, people: int = 3) -> tuple[list[str], dict[str, list[str]]]:
    """What some people did, and the places that each of them went to, as many as the others."""
    names, places = draw.sample(PEOPLE, people), draw.sample(PLACES, len(PLACES))
    went = {who: places[k :: len(names)] for k, who in enumerate(names)}
    acts = [(who, [f"went to the {place} ." for place in own]) for who, own in went.items()]
    return _in_turns(draw, acts), went


def _in_turns(draw: Random, acts: list[tuple[str, list[str]]]) -> list[str]:
    """Mix what people do: each list of somebody's acts stays in its order."""
    turns = [k for k, (_, own) in enumerate(acts) for _ in own]
    draw.shuffle(turns)
    left = [iter(own) for _, own in acts]
    return [f"{acts[k][0]} {next(left[k])}" for k in turns]
