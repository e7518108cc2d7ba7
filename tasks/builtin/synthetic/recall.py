"""Associative recall: a list of key-value pairs that ends in one of the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import TaskMetadata
from tasks.builtin.synthetic.curricula import CURRICULA
from tasks.builtin.synthetic.pairs import draw_pairs, listed, pairs_in, place_of, write_pairs
from tasks.lib.lazy import Draw, Drawn, GeneratedTask
from tasks.words import ALL, COLOURS, Words

if TYPE_CHECKING:
    from numpy.random import Generator

QUESTION = 2
"""Words of a question: a key."""


class Recall(GeneratedTask):
    """The value of a key: "cold river red . quiet lamp blue . ... cold river" is red.

    The text is a list of as many pairs as fit. A key is an adjective and a noun and occurs once; a
    value is one of eight colours. The query follows after all pairs (`mqar` has several queries).
    A model must keep every pair, and longer texts have more pairs; in `needle`, what must be kept
    does not grow with the length.

    The label is drawn first, then one of the pairs that have it, so the frequency of a colour
    carries no information. An example's id ends in `@` and the position of the pair, in percent of
    the text.

    With fewer facts, a training text has one to all of the pairs (log-uniform) and random words in
    the place of the others.
    """

    pinned_by = "version"
    curricula = CURRICULA
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="recall",
        title="Associative recall: the value of one of very many keys",
        description=(
            "The colour that follows a key of two words; the text is a list of such pairs, and "
            "ends in the key asked for."
        ),
        labels=COLOURS,
        source="generated here",
        revision="generator:7",
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

    def draw_for(self, split: str, length: int, curriculum: str) -> Draw:
        """Texts of `length` tokens less 0 to 3."""
        return draw_pairs(self, texts, QUESTION, length, curriculum)


def texts(
    random: Generator,
    count: int,
    room: int,
    first: int = 0,
    *,
    easier: bool = False,
    words: Words = ALL,
) -> list[Drawn]:
    """Draw `count` texts of at most `room` words (34 or more).

    Labels are as even as possible after those of `first` others. Each text has all pairs that fit;
    with `easier`, one to all of them.
    """
    import numpy as np

    pairs, values = listed(random, count, pairs_in(room, words, QUESTION), words)
    label = random.permutation((first + np.arange(count)) % len(COLOURS))
    asked = place_of(random, values, label)
    question = pairs[np.arange(count), asked, :2]
    written = write_pairs(random, pairs, asked, question, words, fewest=1 if easier else None)
    most = pairs.shape[1]
    drawn = zip(written, label.tolist(), asked.tolist(), strict=True)
    return [
        Drawn(text, own, f"@{100 * pair // most}", position=pair / most)
        for text, own, pair in drawn
    ]
