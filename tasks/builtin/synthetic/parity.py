"""Parity of the number of ones among five digits in a text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import TaskMetadata
from tasks.builtin.synthetic.curricula import (
    REPEAT_TOKENS,
    WARM_UP,
    has_repeated_tokens,
    log_uniform,
)
from tasks.card import SPECIAL
from tasks.lib.lazy import Draw, Drawn, GeneratedTask
from tasks.words import ALL, Words, join, one_token

if TYPE_CHECKING:
    from numpy.random import Generator

DIGITS = 5
"""Words of a text that are `zero` or `one`."""

FIXED = ("zero", "one")


class Parity(GeneratedTask):
    """Whether the number of ones is even or odd: "of zero to in one that ..." is odd.

    Five words of a text, anywhere, are digits; the others are random words. The number of digits
    does not depend on the length, and missing a single digit can change the answer. The numbers of
    ones 0 and 5 are half as likely as the others, so a threshold on their number has an accuracy of
    .6 at most, and both labels are equally likely. The number of digits is fixed and small because
    attention averages over words: docs/log/2026-11-27-training-texts.md.

    An example's id ends in `@` and the number of ones among its five digits.
    """

    pinned_by = "version"
    curricula: ClassVar[Mapping[str, str]] = {
        REPEAT_TOKENS: (
            "In a training text each of the five digits occurs k times, at random places; k is "
            "log-uniform between 1 and the largest number that fits the length."
        ),
        WARM_UP: "The same as repeat_tokens.",
    }
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="parity",
        title="Parity of five digits among many words",
        description="Is the number of ones among the five digits in a text even or odd?",
        labels=("even", "odd"),
        source="generated here",
        revision="generator:4",
        licence="Apache-2.0 (this generator)",
        citation="none: the parity function",
        natural_length=1024,
        lengths=(64, 128, 256, 512, 1024, 2048, 4096),
        min_length=64,
        slack=SPECIAL,
        balanced=True,
    )

    def draw_for(self, split: str, length: int, curriculum: str) -> Draw:
        """Texts of exactly `length` tokens."""
        room = length - SPECIAL
        words = one_token(self.metadata.name, self.token_counter, FIXED)
        most = room // DIGITS if has_repeated_tokens(curriculum) else 1
        return partial(texts, room=room, most=most, words=words)


def texts(random: Generator, count: int, room: int, most: int, words: Words = ALL) -> list[Drawn]:
    """Draw `count` texts of `room` words, with labels as even as possible.

    Each of a text's five digits occurs k times; k is log-uniform from 1 to `most`.
    """
    import numpy as np

    # 0 and 5 once, 1 to 4 twice.
    numbers = [(k + 1) // 2 for k in range(2 * DIGITS)]
    ones = random.permutation(np.resize(numbers, count))
    of = (*FIXED, *(word for word in words.filler if word != "one"))
    text = random.integers(2, len(of), (count, room))
    times = log_uniform(random, 1, most, count)
    place = np.arange(room)
    shown = place % DIGITS < ones[:, None]
    text = np.where(place < DIGITS * times[:, None], shown, text)
    written = join(of, random.permuted(text, axis=1))
    return [Drawn(said, n % 2, f"@{n}") for said, n in zip(written, ones.tolist(), strict=True)]
