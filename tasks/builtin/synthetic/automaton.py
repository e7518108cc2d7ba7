"""State of a finite automaton that waits for five words, one after the other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import TaskMetadata
from tasks.builtin.synthetic.curricula import CURRICULA, drawer, has_fewer_facts
from tasks.card import SPECIAL
from tasks.lib.lazy import Draw, Drawn, GeneratedTask
from tasks.words import ALL, Words, join, one_token

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

MARKS = ("red", "blue", "green", "white", "black")
"""The words in the order in which the automaton waits for them; each is also the state's name."""

TIMES = 2
"""Occurrences of each of them in a text."""


class Automaton(GeneratedTask):
    """The state after a text such as "of blue in red at red to blue with green ...".

    The automaton first waits for red, then for blue, green, white and black. Any other word leaves
    the state unchanged: "blue ... red ... green" ends in the state `red`. Each colour occurs twice,
    anywhere among random words, and all five states are equally likely. Word counts therefore carry
    no information; only the order does. The number of words to track does not depend on the length.
    A predictor that knows the last colour only has an accuracy of .48, with the last two .53, with
    the last three .63.

    The automaton is aperiodic: no repeated word leads through a cycle of states. Attention can
    learn such automata (Liu et al., 2023); those of permutation groups are harder.

    With fewer facts, half of the training texts contain only the first colours, at least as many as
    the state needs. Repeated words do not change the state.
    """

    pinned_by = "version"
    curricula = CURRICULA
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="automaton",
        title="State of an automaton that waits for five words in their order",
        description=(
            "Which of five colours was the last to come in its turn; each occurs twice in a text "
            "of random words."
        ),
        labels=MARKS,
        source="generated here",
        revision="generator:5",
        licence="Apache-2.0 (this generator)",
        citation="after Liu et al., Transformers Learn Shortcuts to Automata, ICLR 2023",
        natural_length=1024,
        lengths=(64, 128, 256, 512, 1024, 2048, 4096),
        min_length=64,
        slack=SPECIAL,
        balanced=True,
    )

    def draw_for(self, split: str, length: int, curriculum: str) -> Draw:
        """Texts of exactly `length` tokens."""
        words = one_token(self.metadata.name, self.token_counter, MARKS)
        draw = partial(texts, easier=has_fewer_facts(curriculum), words=words)
        return drawer(draw, length - SPECIAL, self.metadata.min_length - SPECIAL, curriculum)


def texts(
    random: Generator,
    count: int,
    room: int,
    first: int = 0,
    *,
    easier: bool = False,
    words: Words = ALL,
) -> list[Drawn]:
    """Draw `count` texts of `room` words, with labels as even as possible after `first` others.

    Each has all five colours. With `easier`, half of the texts have only the first ones, at least
    as many as the state needs.
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
    """Draw orders of the colours that end in state `label` if only the first `known` ones count.

    All such orders are equally likely. Shape (texts, colours in a text).
    """
    import numpy as np

    orders = np.tile(np.repeat(np.arange(len(MARKS)), TIMES), (len(label), 1))
    left = np.arange(len(label))  # rows that still need another permutation
    while len(left):
        orders[left] = random.permuted(orders[left], axis=1)
        met = np.zeros(len(left), int)
        for colour in orders[left].T:
            met += (colour == met) & (colour < known[left])
        left = left[met - 1 != label[left]]
    return orders
