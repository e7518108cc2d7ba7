"""Small stories of people, places and things, with a question whose answer they tell.

In the manner of bAbI (Weston et al., 2015), tasks 1, 2 (less the dropping), 6 and 7. Which words a
story uses, and how often, does not depend on the answer: who did what, and in which order, does.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

PEOPLE = ("mary", "john", "sandra")
CROWD = (*PEOPLE, "daniel", "julie", "fred")
PLACES = ("kitchen", "garden", "office", "bathroom", "bedroom", "hallway")
THINGS = ("apple", "milk", "football", "book", "hat", "key")


class Story(NamedTuple):
    """Facts in the order in which they happened, a question about the end, and the answer.

    `needed` are the places and things without whose facts the answer might be another.
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
    return fact.rpartition(" ")[2]


def one_fact(draw: Random) -> Story:
    """Where somebody is. Everyone goes to two of the places, and nobody where another went."""
    facts, places = _walks(draw)
    who = draw.choice(PEOPLE)
    return Story(facts, f"where is {who} ?", places[who][-1], frozenset(places[who][-1:]))


def yes_or_no(draw: Random) -> Story:
    """Whether somebody is in a place; if not, every second time in the one he was in before."""
    facts, places = _walks(draw)
    who = draw.choice(PEOPLE)
    before, now = places[who]
    others = [place for place in PLACES if place not in (before, now)]
    wrong = before if draw.random() < 0.5 else draw.choice(others)
    answer = draw.choice(("yes", "no"))
    asked = now if answer == "yes" else wrong
    return Story(facts, f"is {who} in the {asked} ?", answer, frozenset([now]))


def two_facts(draw: Random) -> Story:
    """Where a thing is: with the one who took it. Six people are in a place each; three things."""
    facts, places, holders = _taken(draw)
    asked = draw.choice(sorted(holders))
    place = places[holders[asked]]
    return Story(facts, f"where is the {asked} ?", place, frozenset([asked, place]))


def one_of_two(draw: Random) -> Story:
    """Where somebody is, in a story of `two_facts`: half of the way to its answer."""
    facts, places, _ = _taken(draw)
    who = draw.choice(CROWD)
    return Story(facts, f"where is {who} ?", places[who], frozenset([places[who]]))


def count(draw: Random) -> Story:
    """How many things somebody has. He took three of six, and three of the six were dropped."""
    who, *others = draw.sample(PEOPLE, len(PEOPLE))
    things = draw.sample(THINGS, len(THINGS))
    owner = {thing: who if k < 3 else draw.choice(others) for k, thing in enumerate(things)}
    left = draw.randrange(4)
    dropped = [*things[left:3], *things[3 : 3 + left]]
    facts: list[str] = []
    for thing in draw.sample([*things, *dropped], len(things) + len(dropped)):
        again = f"{owner[thing]} took the {thing}" in facts
        facts.append(f"{owner[thing]} {'dropped' if again else 'took'} the {thing}")
    answer = ("none", "one", "two", "three")[left]
    return Story(facts, f"how many things does {who} have ?", answer, frozenset(things[:3]))


def _walks(draw: Random) -> tuple[list[str], dict[str, list[str]]]:
    places = draw.sample(PLACES, len(PLACES))
    went = {who: places[2 * k : 2 * k + 2] for k, who in enumerate(PEOPLE)}
    acts = {who: [f"went to the {place}" for place in went[who]] for who in PEOPLE}
    return _in_turns(draw, acts), went


def _taken(draw: Random) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """What six people did, where each of them is, and who has which thing."""
    places = dict(zip(CROWD, draw.sample(PLACES, len(CROWD)), strict=True))
    acts = {who: [f"went to the {place}"] for who, place in places.items()}
    holders: dict[str, str] = {}
    for thing in draw.sample(THINGS, 3):
        who = holders[thing] = draw.choice(CROWD)
        acts[who].insert(draw.randint(0, len(acts[who])), f"took the {thing}")
    return _in_turns(draw, acts), places, holders


def _in_turns(draw: Random, acts: dict[str, list[str]]) -> list[str]:
    """Mix what several people do, each one's acts in their order."""
    turns = [who for who, own in acts.items() for _ in own]
    draw.shuffle(turns)
    left = {who: iter(own) for who, own in acts.items()}
    return [f"{who} {next(left[who])}" for who in turns]
