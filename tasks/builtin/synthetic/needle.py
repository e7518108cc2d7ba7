"""A needle in a haystack: one of eight statements in a random text answers the question."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import TaskMetadata
from tasks.builtin.synthetic.curricula import CURRICULA, choose_parts, drawer, has_fewer_facts
from tasks.card import SPECIAL
from tasks.lib.lazy import Draw, Drawn, GeneratedTask
from tasks.words import ALL, COLOURS, Words, join, one_token

if TYPE_CHECKING:
    from numpy.random import Generator

FIXED = (*COLOURS, "the", "is", ".")
"""Words that every text contains."""


class Needle(GeneratedTask):
    """The colour of the thing that the last words name.

    "... the lion is blue . ... the harbor is red . ... the lion is": the last words begin one of
    the statements again. Eight different things have one statement each, eight colours are used
    once each, and random words fill the length exactly (counted in BERT's WordPiece, with two
    special tokens). All texts contain the same words except the names of the things, so word counts
    carry no information about the label. The position of the needle is uniform. An example's id
    ends in `@` and that position, in percent of the text.

    With fewer facts, a training text contains one to eight of the statements.
    """

    pinned_by = "version"
    curricula = CURRICULA
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="needle",
        title="Needle: one of eight statements in a random text answers the question",
        description=(
            "Colour of the thing asked for at the end; eight things have a colour each, stated "
            "once, anywhere in a text of random words."
        ),
        labels=COLOURS,
        source="generated here",
        revision="generator:6",
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

    def draw_for(self, split: str, length: int, curriculum: str) -> Draw:
        """Texts of exactly `length` tokens."""
        words = one_token(self.metadata.name, self.token_counter, FIXED)
        fewest = 1 if has_fewer_facts(curriculum) else len(COLOURS)
        draw = partial(texts, fewest=fewest, words=words)
        return drawer(draw, length - SPECIAL, self.metadata.min_length - SPECIAL, curriculum)


def texts(
    random: Generator,
    count: int,
    room: int,
    first: int = 0,
    *,
    fewest: int,
    words: Words = ALL,
) -> list[Drawn]:
    """Draw `count` texts of `room` words, with labels as even as possible after `first` others.

    Each has `fewest` to eight statements; all numbers are equally likely.
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
    # Each statement's place among the fillers, and from it the position of its first word.
    gaps = np.sort(random.integers(0, filler + 1, (count, kinds)), axis=1)
    begin = gaps + width * np.arange(kinds)
    text = random.integers(0, len(words.filler), (count, room))
    some = choose_parts(random, random.integers(fewest, kinds + 1, count), asked, kinds)
    at = row[:, None, None], begin[..., None] + np.arange(width)
    text[at] = np.where(some[..., None], said, text[at])
    text[:, body:] = question
    place = begin[row, asked].tolist()
    written = zip(join(of, text), label.tolist(), place, strict=True)
    return [
        Drawn(said, own, f"@{100 * words // body}", position=words / body)
        for said, own, words in written
    ]
