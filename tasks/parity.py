"""Parity: is the number of ones in a text of ones and zeros even or odd?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import Splits, Task, TaskMetadata
from tasks.card import SPECIAL
from tasks.lazy import Drawn, generated
from tasks.words import join

if TYPE_CHECKING:
    from numpy.random import Generator

FEWEST, MOST = 4, 19
"""Ones in a text, each number as likely: eight even ones and eight odd ones."""


class Parity(Task):
    """Whether the ones are an even or an odd number: "zero one zero zero one ..." is even.

    The ones are 4 to 19 at any length, anywhere in the text, and the rest are zeros. With ones
    and zeros as likely no model learns the parity of more than a few dozen symbols by gradients,
    and longer would also mean harder to count. As it is, what has to be kept does not grow with
    the length, and a single word missed anywhere turns the answer round. An example's id ends in
    `@` and the number of ones.
    """

    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="parity",
        title="Parity of a few ones among many zeros",
        description="Is the number of ones in a text of the words zero and one even or odd?",
        labels=("even", "odd"),
        source="generated here",
        revision="generator:1",
        licence="Apache-2.0 (this generator)",
        citation="none: the parity function",
        natural_length=1024,
        lengths=(64, 128, 256, 512, 1024, 2048, 4096),
        min_length=64,
        balanced=True,
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of exactly `length` tokens; the seed draws the training texts."""

        def draw(random: Generator, count: int) -> list[Drawn]:
            import numpy as np

            ones = random.permutation(np.arange(count) % (MOST - FEWEST + 1) + FEWEST)
            row = np.arange(length - SPECIAL) < ones[:, None]
            words = random.permuted(row, axis=1).astype(int)
            texts = join(("zero", "one"), words)
            return [Drawn(t, n % 2, f"@{n}") for t, n in zip(texts, ones.tolist(), strict=True)]

        return generated(self.metadata.name, length, seed, draw, apart=True)
