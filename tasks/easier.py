"""Training texts that are easier than those that are judged: with fewer parts, or told again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray


def log_uniform(random: Generator, fewest: int, most: int, count: int) -> NDArray[np.integer]:
    """Draw `count` numbers from `fewest` (1 or more) to `most`, on a logarithmic scale.

    So 1 to 2 is as likely as 10 to 20, but for rounding.
    """
    import numpy as np

    return np.exp(random.uniform(np.log(fewest), np.log(most + 1), count)).astype(int)


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
