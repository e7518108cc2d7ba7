"""Associative recall: the text is a long list of pairs, and the last words ask for one of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Splits, Task, TaskMetadata
from tasks.card import SPECIAL
from tasks.easier import log_uniform, parts_with, retold
from tasks.lazy import Drawn, generated
from tasks.words import ALL, COLOURS, Words, join, one_token

if TYPE_CHECKING:
    from numpy.random import Generator

FIXED = (*COLOURS, ".")
"""Words that every text needs."""


class Recall(Task):
    """The value of the key asked for: "cold river red . quiet lamp blue . ... cold river" is red.

    The text is nothing but pairs, as many as fit: a key is an adjective and a noun and comes once,
    a value is one of eight colours. In multi-query associative recall (Arora et al.) a text is
    followed by many queries, each of them scored. A classification has one answer a text, so the
    query is one, drawn uniformly over the pairs and after all of them were read: the model must
    still keep every pair, of which there are more the longer the text is. That is what sets it
    apart from `needle`, where what must be kept does not grow.

    The label is drawn first, and then one of the pairs that have it: how often a colour occurs
    tells nothing. An example's id ends in `@` and the place of the pair, in percent of the text.

    A training text has one pair to all of them, small numbers as likely as large ones on a
    logarithmic scale, and words drawn at random in the place of the others, and it is a shorter
    text each word of which is told once to as often as fits: with all pairs in each text, or in 256
    tokens without full stops, a model stays at chance for long (`docs/learned.md`).
    """

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
        balanced=True,
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of `length` tokens less 0 to 3; the seed draws the training texts."""
        words = one_token(self.metadata.name, self.count, FIXED)
        room = 4 * _pairs(length - SPECIAL, words) + 2
        least = self.metadata.min_length - SPECIAL
        short = partial(texts, easier=True, words=words)
        train = partial(retold, draw=short, room=room, least=least)
        draw = partial(texts, room=room, words=words)
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
    """Draw `count` texts of at most `room` words (34 or more), the labels as even as can be.

    They go on after those of `first` others. Each is all pairs that fit; with `easier`, one to all
    of them.
    """
    import numpy as np

    of = (*words.adjectives, *words.nouns, *FIXED, *words.filler)
    pairs, kinds = _pairs(room, words), len(COLOURS)
    nouns, colours = len(words.adjectives), len(words.adjectives) + len(words.nouns)
    keys = np.stack([random.choice(_keys(words), pairs, replace=False) for _ in range(count)])
    values = random.integers(0, kinds, (count, pairs))
    values[:, :kinds] = np.arange(kinds)
    values = random.permuted(values, axis=1)
    label = random.permutation((first + np.arange(count)) % kinds)
    # Of the pairs that have the label as their value, each is as likely to be asked for.
    lots = np.where(values == label[:, None], random.random((count, pairs)), -1)
    asked = lots.argmax(axis=1)
    stop = np.full_like(keys, of.index("."))
    pair = [keys // len(words.nouns), keys % len(words.nouns) + nouns, values + colours, stop]
    said = np.stack(pair, axis=2)
    question = said[np.arange(count), asked, :2]
    some = parts_with(
        random, log_uniform(random, 1 if easier else pairs, pairs, count), asked, pairs
    )
    fillers = random.integers(of.index(words.filler[0]), len(of), said.shape)
    said = np.where(some[..., None], said, fillers)
    text = np.concatenate([said.reshape(count, -1), question], axis=1)
    place = 100 * asked // pairs
    written = zip(join(of, text), label.tolist(), place.tolist(), strict=True)
    return [Drawn(said, own, f"@{percent}") for said, own, percent in written]


def _keys(words: Words) -> int:
    """Different keys. As many pairs are in the longest texts: of all words, 25,800 tokens."""
    return len(words.adjectives) * len(words.nouns)


def _pairs(room: int, words: Words) -> int:
    """Pairs that fit into so many words, a key after them."""
    return min(_keys(words), (room - 2) // 4)
