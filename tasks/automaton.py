"""A finite automaton: in which of five states does it end that a text of moves runs through?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Splits, Task, TaskMetadata
from tasks.card import SPECIAL
from tasks.easier import retold
from tasks.lazy import Drawn, generated
from tasks.pixels import spaced

if TYPE_CHECKING:
    from numpy.random import Generator

STATES = "abcde"
MOVES = {"x": "bcdea", "y": "bacde"}
"""Where a move leads from a, b, c, d and e: round the circle; a and b swapped."""

IDLE = "fghijklmnopqrstuvw"
"""Letters that lead nowhere."""

FEWEST, MOST = 1, 5
"""Moves in a text, each number as likely; a training text may have none."""


class Automaton(Task):
    """The state that a text such as "c k x m f y w x ..." ends in: the first letter, then moves.

    The moves x (a to b to c to d to e to a) and y (a and b swapped) generate all permutations of
    five states: the word problem of this group (Barrington, 1989) is beyond what counts of moves
    can tell, for their order matters. Of these moves a text has 1 to 5 at any length, anywhere,
    and the rest are letters that lead nowhere: what has to be tracked does not grow with the
    length, only the span it is spread over. All ends are as likely, the state begun in follows.
    An example's id ends in `@` and the number of moves.

    A letter that is the same as the one before it says nothing new, so a run of a move is one move.
    The texts that are judged have no such runs. A training text is a shorter one, each of its
    letters told once to as often as fills the length: to attention that weighs a text's letters it
    is the short text, in the same order (`docs/learned.md`). Training texts have 0 to 5 moves, and
    what is learned of the shorter ones is the beginning of the longer; of texts with 4 to 11 moves
    alone nothing was learned.
    """

    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="automaton",
        title="State of a five-state permutation automaton (S5) after a text of moves",
        description="The last state of an automaton; a text is the first state and the moves.",
        labels=tuple(STATES),
        source="generated here",
        revision="generator:3",
        licence="Apache-2.0 (this generator)",
        citation=(
            "Barrington, Bounded-width polynomial-size branching programs recognize exactly those "
            "languages in NC1, 1989; as a test of models: Merrill et al., The Illusion of State in "
            "State-Space Models, ICML 2024"
        ),
        natural_length=1024,
        lengths=(64, 128, 256, 512, 1024, 2048, 4096),
        min_length=64,
        balanced=True,
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of exactly `length` tokens; the seed draws the training texts."""

        room, least = length - SPECIAL, self.metadata.min_length - SPECIAL
        draw = partial(texts, room=room, fewest=FEWEST)
        short = partial(texts, fewest=0)
        train = partial(retold, draw=short, room=room, least=least)
        return generated(self.metadata.name, length, seed, draw, train=train)


def texts(random: Generator, count: int, room: int, first: int = 0, *, fewest: int) -> list[Drawn]:
    """Draw `count` texts of `room` words, the labels as even as they can be after `first` others.

    Each has `fewest` to five moves, each number as likely, and no move twice in a row.
    """
    import numpy as np

    letters = STATES + IDLE + "".join(MOVES)
    number = random.integers(fewest, MOST + 1, count)
    text = random.integers(len(STATES), len(STATES + IDLE), (count, room))
    some = np.arange(room - 1) < number[:, None]
    text[:, 1:][some] = random.integers(len(STATES + IDLE), len(letters), int(some.sum()))
    left = np.arange(count)  # rows to be mixed, or mixed again
    while len(left):
        text[left, 1:] = random.permuted(text[left, 1:], axis=1)
        run = (text[left, 1:] == text[left, :-1]) & (text[left, 1:] >= len(STATES + IDLE))
        left = left[run.any(axis=1)]
    label = random.permutation((first + np.arange(count)) % len(STATES))
    # Backwards from the end: each letter has one state that it could have come from.
    leads = [MOVES.get(letter, STATES) for letter in letters]
    origin = np.array([[to.index(state) for state in STATES] for to in leads])
    text[:, 0] = label
    for column in text.T[:0:-1]:
        text[:, 0] = origin[column, text[:, 0]]
    rows = zip(spaced(text), label.tolist(), number.tolist(), strict=True)
    return [Drawn(written, own, f"@{moves}") for written, own, moves in rows]
