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
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    Numbers = NDArray[np.integer]

FIXED = (*COLOURS, ".")
"""Words that every text needs."""


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
        room = 4 * pairs_in(length - SPECIAL, words) + 2
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

    pairs, values = listed(random, count, pairs_in(room, words), words)
    label = random.permutation((first + np.arange(count)) % len(COLOURS))
    asked = place_of(random, values, label)
    question = pairs[np.arange(count), asked, :2]
    written = told(random, pairs, asked, question, words, fewest=1 if easier else None)
    place = 100 * asked // pairs.shape[1]
    drawn = zip(written, label.tolist(), place.tolist(), strict=True)
    return [Drawn(text, own, f"@{percent}") for text, own, percent in drawn]


def _vocabulary(words: Words) -> tuple[str, ...]:
    """What the numbers of a text's words stand for."""
    return (*words.adjectives, *words.nouns, *FIXED, *words.filler)


def listed(random: Generator, count: int, pairs: int, words: Words) -> tuple[Numbers, Numbers]:
    """Draw `count` lists of pairs: their words, of shape (count, pairs, 4), and their values.

    A list has each key once and each of the values, which have shape (count, pairs), at least once.
    """
    import numpy as np

    kinds, of = len(COLOURS), _vocabulary(words)
    keys = np.stack([random.choice(_keys(words), pairs, replace=False) for _ in range(count)])
    values = random.integers(0, kinds, (count, pairs))
    values[:, :kinds] = np.arange(kinds)
    values = random.permuted(values, axis=1)
    adjective, noun = np.divmod(keys, len(words.nouns))
    noun += len(words.adjectives)
    stop = np.full_like(keys, of.index("."))
    return np.stack([adjective, noun, values + of.index(COLOURS[0]), stop], axis=2), values


def place_of(random: Generator, values: Numbers, label: Numbers) -> Numbers:
    """Where a pair stands that has its text's label; each of them is as likely."""
    import numpy as np

    lots = np.where(values == label[:, None], random.random(values.shape), -1)
    place: Numbers = lots.argmax(axis=1)
    return place


def told(
    random: Generator,
    pairs: Numbers,
    asked: Numbers,
    question: Numbers,
    words: Words,
    *,
    fewest: int | None,
) -> list[str]:
    """Write lists of pairs, a question behind each.

    Args:
        pairs: their words, of shape (texts, pairs, 4).
        asked: places of pairs asked for, of shape (texts,) or (texts, q).
        question: words of the question, of shape (texts, any).
        words: what the numbers stand for.
        fewest: leave out pairs that are not asked for, so that this many to all of them are left,
            and tell words drawn at random in their place; None: leave out none.
    """
    import numpy as np

    texts, most, _ = pairs.shape
    of = _vocabulary(words)
    number = log_uniform(random, most if fewest is None else fewest, most, texts)
    kept = parts_with(random, number, asked, most)
    filler = random.integers(of.index(words.filler[0]), len(of), pairs.shape)
    body = np.where(kept[..., None], pairs, filler).reshape(texts, -1)
    return join(of, np.hstack([body, question]))


def _keys(words: Words) -> int:
    """Different keys. As many pairs are in the longest texts: of all words, 25,800 tokens."""
    return len(words.adjectives) * len(words.nouns)


def pairs_in(room: int, words: Words, question: int = 2) -> int:
    """Pairs that fit into so many words, a question after them."""
    return min(_keys(words), (room - question) // 4)
