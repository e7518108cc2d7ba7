"""Pixels as tokens of a text backbone: a pixel is a letter, `a` black to `z` white.

A backbone made for text has no embedding for a grey level. Of the two ways out, existing entries of
the vocabulary or new embeddings that every arm trains and counts, this project takes the first: no
arm gets parameters that another lacks, and checkpoints stay what they were. So a grey level must be
a word that is one entry, and letters are: with a space before each, all 26 are one token in BERT's
WordPiece and in byte-level BPE (measured with MiniLM's tokenizer and with SmolLM2's). The numbers 0
to 255 are single entries for BERT, but SmolLM2 cuts them into digits and spaces: 3.6 tokens each.
The price is 26 levels where the Long Range Arena has 256.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.base import TaskError
from tasks.card import SPECIAL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVELS = 26


def pixel_texts(images: NDArray[np.uint8]) -> list[str]:
    """Write images of shape (n, pixels), grey levels 0 to 255, as n texts of one letter a pixel."""
    return spaced(images.astype("uint16") * LEVELS // 256)


def spaced(letters: NDArray[np.integer]) -> list[str]:
    """Write numbers 0 to 25 of shape (n, width) as n texts: letters with spaces between."""
    import numpy as np

    count, width = letters.shape
    signs = np.full((count, 2 * width - 1), ord(" "), dtype=np.uint8)
    signs[:, ::2] = letters + ord("a")
    return [row.tobytes().decode("ascii") for row in signs]


def largest_side(name: str, length: int, sides: Sequence[int]) -> int:
    """The largest of `sides` whose square image fits `length` tokens, special tokens counted.

    Raises:
        TaskError: none fits; the task's name stands in the message.
    """
    fitting = [side for side in sides if side * side + SPECIAL <= length]
    if not fitting:
        raise TaskError(
            f"{name}: {length} tokens hold no image: the smallest needs {min(sides) ** 2 + SPECIAL}"
        )
    return max(fitting)
