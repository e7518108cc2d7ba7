"""Training texts that are easier than those that are judged: some of their parts are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray


def parts_with(
    random: Generator, number: NDArray[np.integer], asked: NDArray[np.integer], of: int
) -> NDArray[np.bool_]:
    """Choose `number[i]` of a text's `of` parts (1 or more), the one asked for among them.

    Returns shape (texts, of): which parts the text keeps.
    """
    import numpy as np

    lots = random.random((len(number), of))
    lots[np.arange(len(number)), asked] = -1
    ranks = lots.argsort(axis=1).argsort(axis=1)
    return ranks < number[:, None]
