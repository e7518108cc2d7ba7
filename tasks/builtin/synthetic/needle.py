"""A needle in a haystack: one statement among fillers and other statements tells the colour."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Splits, Task, TaskMetadata
from tasks.builtin.synthetic.easier import parts_with, retold
from tasks.card import SPECIAL
from tasks.lib.lazy import Drawn, generated
from tasks.words import ALL, COLOURS, Words, join, one_token

if TYPE_CHECKING:
    from numpy.random import Generator

FIXED = (*COLOURS, "the", "is", ".")
"""Words that every text needs."""


class Needle(Task):
    """The colour of the thing that the last words name, which begin its statement again.

    "... the lion is blue . ... the harbor is red . ... the lion is" Eight different things have one
    statement each, eight colours are used once each, and words drawn at random fill the length to
    the token (counted in BERT's WordPiece, two special tokens included). So every text holds the
    same words of interest but for the things' names, and no count of words tells the label.
    Statements stand where a uniform draw puts them, and which of them is asked for does not depend
    on it: the place of the needle is uniform. An example's id ends in `@` and that place, in
    percent of the text.

    A training text has one to eight of the statements, fillers in the place of the others, and is a
    shorter text each word of which is told once to as often as fits: with eight in each, or 512
    tokens told once, a model stays at chance for long (`docs/learned.md`).
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="needle",
        title="Needle: one of eight statements in a random text answers the question",
        description=(
            "Colour of the thing asked for at the end; eight things have a colour each, stated "
            "once, anywhere in a text of random words."
        ),
        labels=COLOURS,
        source="generated here",
        revision="generator:5",
        licence="Apache-2.0 (this generator)",
        citation=(
            "after the key-value needles of Hsieh et al., RULER: What's the Real Context Size of "
            "Your Long-Context Language Models?, COLM 2024"
        ),
        natural_length=1024,
        lengths=(64, 128, 256, 512, 1024, 2048, 4096),
        min_length=64,
        slack=SPECIAL,
        balanced=True,
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of exactly `length` tokens; the seed draws the training texts."""
        room, least = length - SPECIAL, self.metadata.min_length - SPECIAL
        words = one_token(self.metadata.name, self.count, FIXED)
        draw = partial(texts, room=room, fewest=len(COLOURS), words=words)
        short = partial(texts, fewest=1, words=words)
        train = partial(retold, draw=short, room=room, least=least)
        return generated(self.metadata.name, length, seed, draw, train=train)


def texts(
    random: Generator,
    count: int,
    room: int,
    first: int = 0,
    *,
    fewest: int,
    words: Words = ALL,
) -> list[Drawn]:
    """Draw `count` texts of `room` words, the labels as even as they can be after `first` others.

    Each has `fewest` to eight statements, each number as likely.
    """
    import numpy as np

    of = (*words.filler, *words.nouns, *FIXED)

    def codes(said: str) -> list[int]:
        return [of.index(word) for word in said.split()]

    kinds, row = len(COLOURS), np.arange(count)
    nouns = np.tile(codes(" ".join(words.nouns)), (count, 1))
    things = random.permuted(nouns, axis=1)[:, :kinds]
    colours = random.permuted(np.tile(codes(" ".join(COLOURS)), (count, 1)), axis=1)
    label = random.permutation((first + row) % kinds)
    asked = (colours == label[:, None] + of.index(COLOURS[0])).argmax(axis=1)
    said = np.tile(codes(f"the {words.nouns[0]} is {COLOURS[0]} ."), (count, kinds, 1))
    said[..., 1], said[..., 3] = things, colours
    question = said[row, asked, :3]
    width = said.shape[2]
    body = room - question.shape[1]
    filler = body - kinds * width
    # Where a statement is put among the fillers, and so where its first word comes to stand.
    gaps = np.sort(random.integers(0, filler + 1, (count, kinds)), axis=1)
    begin = gaps + width * np.arange(kinds)
    text = random.integers(0, len(words.filler), (count, room))
    some = parts_with(random, random.integers(fewest, kinds + 1, count), asked, kinds)
    at = row[:, None, None], begin[..., None] + np.arange(width)
    text[at] = np.where(some[..., None], said, text[at])
    text[:, body:] = question
    place = 100 * begin[row, asked] // body
    written = zip(join(of, text), label.tolist(), place.tolist(), strict=True)
    return [Drawn(said, own, f"@{percent}") for said, own, percent in written]
