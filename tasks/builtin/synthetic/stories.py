"""Short stories of people, places and things, with a question and its answer.

In the manner of bAbI (Weston et al., 2015), tasks 1, 5 and 7, and the question of its task 3. The
answer does not depend on which words a story uses or how often (unless facts were left out), but on
who did what and in which order. Names are drawn from a long list, and each fact ends in a full
stop; both help a model to learn who did what (docs/log/2026-11-27-training-texts.md). A question is
the beginning of a sentence and its answer the next word, as in pre-training.
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
"""Less similar than the rooms of a house, and rare in postings."""
ROOMS = ("kitchen", "garden", "office", "bathroom", "bedroom", "hallway")


class Story(NamedTuple):
    """Facts in chronological order, a question about them, and the answer.

    `needed` are the places and things whose facts decide the answer.
    """

    facts: list[str]
    question: str
    answer: str
    needed: frozenset[str]

    @property
    def first_needed(self) -> int:
        """The index of the first fact that the answer needs."""
        return next(k for k, fact in enumerate(self.facts) if _about(fact) in self.needed)


def fewer_facts(draw: Random, story: Story) -> Story:
    """Leave out a random number of the facts, from none to all that are not needed."""
    share = draw.random()
    words = dict.fromkeys(map(_about, story.facts))
    kept = {word for word in words if word in story.needed or draw.random() < share}
    return story._replace(facts=[fact for fact in story.facts if _about(fact) in kept])


def _about(fact: str) -> str:
    return fact.split()[-2]


def one_fact(draw: Random) -> Story:
    """Where somebody is. Each of three people goes to two places; no place is visited twice."""
    facts, places = _walks(draw)
    who = draw.choice(list(places))
    return Story(facts, f"{who} last went to the", places[who][-1], frozenset(places[who][-1:]))


def two_facts(draw: Random) -> Story:
    """Where somebody was before going to a place. Two people go to three places each."""
    facts, places = _walks(draw, 2)
    who = draw.choice(list(places))
    k = draw.randrange(2)
    before, then = places[who][k : k + 2]
    return Story(facts, f"before the {then} {who} went to the", before, frozenset([before, then]))


def one_of_many(draw: Random) -> Story:
    """Where somebody is. Six people are in a place each, so one fact gives the answer."""
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
    """How many things somebody has. The person took three of six; three of the six were dropped.

    The owner of a thing that was not dropped goes to a place instead. So each person occurs in two
    facts for each thing taken, whatever the answer.
    """
    who, *others = draw.sample(PEOPLE, 3)
    things, places = draw.sample(THINGS, 6), draw.sample(ROOMS, 3)
    owners = [who] * 3 + draw.choices(others, k=3)
    left = draw.randrange(4)
    # The person keeps `left` of the first three things; the others drop as many of theirs.
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
    """Six (giver, taker) in order, with a thing each, and the question about one of them."""
    gifts = draw.sample(GIFTS, len(pairs))
    facts = [f"{a} gave {b} the {gift} ." for (a, b), gift in zip(pairs, gifts, strict=True)]
    asked = draw.randrange(len(pairs))
    giver, taker = pairs[asked]
    needed = frozenset([gifts[asked]])
    return Story(facts, f"{giver} gave {taker} the", gifts[asked], needed)


def _walks(draw: Random, people: int = 3) -> tuple[list[str], dict[str, list[str]]]:
    """The facts, and the places that each person went to, equally many for all."""
    names, places = draw.sample(PEOPLE, people), draw.sample(PLACES, len(PLACES))
    went = {who: places[k :: len(names)] for k, who in enumerate(names)}
    acts = [(who, [f"went to the {place} ." for place in own]) for who, own in went.items()]
    return _in_turns(draw, acts), went


def _in_turns(draw: Random, acts: list[tuple[str, list[str]]]) -> list[str]:
    """Interleave the acts of people at random; each person's acts keep their order."""
    turns = [k for k, (_, own) in enumerate(acts) for _ in own]
    draw.shuffle(turns)
    left = [iter(own) for _, own in acts]
    return [f"{acts[k][0]} {next(left[k])}" for k in turns]
