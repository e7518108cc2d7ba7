"""Pixels as tokens of a text backbone: each pixel is a letter, from `a` (black) to `z` (white).

Text backbones have no embeddings for grey levels. New embeddings would add trained parameters, so
existing tokens are used. With a space before it, each of the 26 letters is one token in BERT's
WordPiece and in byte-level BPE (checked with MiniLM and SmolLM2); numbers from 0 to 255 are not
(3.6 tokens each in SmolLM2). The Long Range Arena has 256 levels; here there are 26.
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
    """The largest of `sides` whose square image fits `length` tokens, special tokens included.

    Raises:
        TaskError: none fits.
    """
    fitting = [side for side in sides if side * side + SPECIAL <= length]
    if not fitting:
        raise TaskError(
            f"{name}: {length} tokens hold no image: the smallest needs {min(sides) ** 2 + SPECIAL}"
        )
    return max(fitting)
