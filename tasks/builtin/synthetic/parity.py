"""Parity: of the five digits in a text, is the number of ones even or odd?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Splits, Task, TaskMetadata
from tasks.builtin.synthetic.easier import log_uniform
from tasks.card import SPECIAL
from tasks.lib.lazy import Drawn, generated
from tasks.words import ALL, Words, join, one_token

if TYPE_CHECKING:
    from numpy.random import Generator

DIGITS = 5
"""Words of a text that are `zero` or `one`."""

FIXED = ("zero", "one")


class Parity(Task):
    """Whether the ones are an even or an odd number: "of zero to in one that ..." is odd.

    Five words of a text, anywhere, are digits, and the rest are drawn at random. What has to be
    kept does not grow with the length, and a single digit missed anywhere may turn the answer
    round. Of the numbers of ones, 0 and 5 are half as likely as those between them: so a threshold
    is right for 6 texts of 10 at best, and both labels are as likely.

    The digits stand out from the rest and are the same number in each text for a reason: a model
    that weighs the words of a text, as attention does, sees what share of them are ones. Of a text
    of zeros and a few ones nothing was learned, and five digits in 256 tokens were not found. In
    a training text each digit therefore comes once to as often as fills the text, seldom as likely
    as often on a logarithmic scale: the share is the same, and sooner seen (`docs/learned.md`).
    An example's id ends in `@` and the number of ones among its five digits.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="parity",
        title="Parity of five digits among many words",
        description="Is the number of ones among the five digits in a text even or odd?",
        labels=("even", "odd"),
        source="generated here",
        revision="generator:3",
        licence="Apache-2.0 (this generator)",
        citation="none: the parity function",
        natural_length=1024,
        lengths=(64, 128, 256, 512, 1024, 2048, 4096),
        min_length=64,
        slack=SPECIAL,
        balanced=True,
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of exactly `length` tokens; the seed draws the training texts."""
        room = length - SPECIAL
        words = one_token(self.metadata.name, self.count, FIXED)
        draw, train = (partial(texts, room=room, most=k, words=words) for k in (1, room // DIGITS))
        return generated(self.metadata.name, length, seed, draw, train=train)


def texts(random: Generator, count: int, room: int, most: int, words: Words = ALL) -> list[Drawn]:
    """Draw `count` texts of `room` words, the labels as even as they can be.

    Their digits come once to `most` times, each as often as the others of its text.
    """
    import numpy as np

    # 0 and 5 stand once, what is between them twice.
    numbers = [(k + 1) // 2 for k in range(2 * DIGITS)]
    ones = random.permutation(np.resize(numbers, count))
    of = (*FIXED, *(word for word in words.filler if word != "one"))
    text = random.integers(2, len(of), (count, room))
    times = log_uniform(random, 1, most, count)
    place = np.arange(room)
    told = place % DIGITS < ones[:, None]
    text = np.where(place < DIGITS * times[:, None], told, text)
    written = join(of, random.permuted(text, axis=1))
    return [Drawn(said, n % 2, f"@{n}") for said, n in zip(written, ones.tolist(), strict=True)]
