"""Associative recall: the text is a long list of pairs, and the last words ask for one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import Splits, Task, TaskMetadata
from tasks.builtin.nlu.pairs import listed, pair_splits, pairs_in, place_of, told
from tasks.lib.lazy import Drawn
from tasks.words import ALL, COLOURS, Words

if TYPE_CHECKING:
    from numpy.random import Generator

QUESTION = 2
"""Words of a question: a key."""


class Recall(Task):
    """The value of the key asked for: "cold river red . quiet lamp blue . ... cold river" is red.

    The text is nothing but pairs, as many as fit: a key is an adjective and a noun and comes once,
    a value is one of eight colours. One query follows, after all pairs were read (`mqar` has
    several): the model must keep every pair, of which there are more the longer the text is. That
    is what sets it apart from `needle`, where what must be kept does not grow.

    The label is drawn first, and then one of the pairs that have it: how often a colour occurs
    tells nothing. An example's id ends in `@` and the place of the pair, in percent of the text.

    A training text has one pair to all of them, small numbers as likely as large ones on a
    logarithmic scale, and words drawn at random in the place of the others, and it is a shorter
    text each word of which is told once to as often as fits: with all pairs in each text, or in 256
    tokens without full stops, a model stays at chance for long (`docs/learned.md`).
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="recall",
        title="Associative recall: the value of one of very many keys",
        description=(
            "The colour that follows a key of two words; the text is a list of such pairs, and "
            "ends in the key asked for."
        ),
        labels=COLOURS,
        source="generated here",
        revision="generator:6",
        licence="Apache-2.0 (this generator)",
        citation=(
            "after Arora et al., Zoology: Measuring and Improving Recall in Efficient Language "
            "Models, ICLR 2024"
        ),
        natural_length=1024,
        lengths=(64, 128, 256, 512, 1024, 2048, 4096),
        min_length=64,
        slack=5,
        balanced=True,
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of `length` tokens less 0 to 3; the seed draws the training texts."""
        return pair_splits(self, length, seed, texts, QUESTION)


def texts(
    random: Generator,
    count: int,
    room: int,
    first: int = 0,
    *,
    easier: bool = False,
    words: Words = ALL,
) -> list[Drawn]:
    """Draw `count` texts of at most `room` words (34 or more), the labels as even as can be.

    They go on after those of `first` others. Each is all pairs that fit; with `easier`, one to all
    of them.
    """
    import numpy as np

    pairs, values = listed(random, count, pairs_in(room, words, QUESTION), words)
    label = random.permutation((first + np.arange(count)) % len(COLOURS))
    asked = place_of(random, values, label)
    question = pairs[np.arange(count), asked, :2]
    written = told(random, pairs, asked, question, words, fewest=1 if easier else None)
    place = 100 * asked // pairs.shape[1]
    drawn = zip(written, label.tolist(), place.tolist(), strict=True)
    return [Drawn(text, own, f"@{percent}") for text, own, percent in drawn]
