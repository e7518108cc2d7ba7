"""A finite automaton that waits for five words, one after the other: how far does it come?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Splits, Task, TaskMetadata
from tasks.builtin.synthetic.easier import retold
from tasks.card import SPECIAL
from tasks.lib.lazy import Drawn, generated
from tasks.words import ALL, Words, join, one_token

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

MARKS = ("red", "blue", "green", "white", "black")
"""What it waits for, in this order. A state is named after the word that it met last."""

TIMES = 2
"""How often each of them stands in a text."""


class Automaton(Task):
    """The state after a text such as "of blue in red at red to blue with green ...".

    The automaton waits for red; from then on for blue, then green, white and black. A word that it
    does not wait for, another colour or not, changes nothing: "blue ... red ... green" ends in the
    state `red`. Each colour stands twice in a text, anywhere among words drawn at random, and all
    five states are as likely: counts of words tell nothing, their order everything. What has to be
    tracked does not grow with the length, only the span that it is spread over. Who knows the
    colour that stands last is right .48 of the time, the last two .53, the last three .63.

    The automaton is aperiodic: no word, read again and again, leads round a circle of states. Such
    automata are what attention can follow (Liu et al.). Those of a group are harder: of five states
    moved by two permutations MiniLM learned what one move does, and no more (`docs/learned.md`).

    Half of the training texts have some of the first colours only, as many as their state needs or
    more. A training text is a shorter one each word of which is told once to as often as fits: a
    word that is told again changes nothing.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="automaton",
        title="State of an automaton that waits for five words in their order",
        description=(
            "Which of five colours was the last to come in its turn; each stands twice in a text "
            "of random words."
        ),
        labels=MARKS,
        source="generated here",
        revision="generator:4",
        licence="Apache-2.0 (this generator)",
        citation="after Liu et al., Transformers Learn Shortcuts to Automata, ICLR 2023",
        natural_length=1024,
        lengths=(64, 128, 256, 512, 1024, 2048, 4096),
        min_length=64,
        slack=SPECIAL,
        balanced=True,
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of exactly `length` tokens; the seed draws the training texts."""
        words = one_token(self.metadata.name, self.count, MARKS)
        room, least = length - SPECIAL, self.metadata.min_length - SPECIAL
        draw = partial(texts, room=room, words=words)
        short = partial(texts, easier=True, words=words)
        train = partial(retold, draw=short, room=room, least=least)
        return generated(self.metadata.name, length, seed, draw, train=train)


def texts(
    random: Generator,
    count: int,
    room: int,
    first: int = 0,
    *,
    easier: bool = False,
    words: Words = ALL,
) -> list[Drawn]:
    """Draw `count` texts of `room` words, the labels as even as they can be after `first` others.

    Each has all five colours; with `easier`, half of them as many of the first ones as their state
    needs, or more.
    """
    import numpy as np

    kinds = len(MARKS)
    of = (*MARKS, *words.filler)
    label = random.permutation((first + np.arange(count)) % kinds)
    some = random.random(count) < (1 / 2 if easier else 0)
    known = np.where(some, random.integers(label + 1, kinds + 1), kinds)
    orders = _orders(random, label, known)
    text = random.integers(kinds, len(of), (count, room))
    width = orders.shape[1]
    places = np.sort(random.integers(0, room - width + 1, (count, width))) + np.arange(width)
    at = np.arange(count)[:, None], places
    text[at] = np.where(orders < known[:, None], orders, text[at])
    written = zip(join(of, text), label.tolist(), strict=True)
    return [Drawn(said, own) for said, own in written]


def _orders(
    random: Generator, label: NDArray[np.integer], known: NDArray[np.integer]
) -> NDArray[np.integer]:
    """Orders of the colours after which the automaton, of its first `known` ones, is in `label`.

    Every such order is as likely. Shape (texts, colours in a text).
    """
    import numpy as np

    orders = np.tile(np.repeat(np.arange(len(MARKS)), TIMES), (len(label), 1))
    left = np.arange(len(label))  # rows to be mixed, or mixed again
    while len(left):
        orders[left] = random.permuted(orders[left], axis=1)
        met = np.zeros(len(left), int)
        for colour in orders[left].T:
            met += (colour == met) & (colour < known[left])
        left = left[met - 1 != label[left]]
    return orders
