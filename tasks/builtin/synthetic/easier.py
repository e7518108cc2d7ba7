"""Training texts that are easier than those that are judged: with fewer parts, or drawn out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tasks.lib.lazy import Drawn

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
    """Choose `number[i]` of a text's `of` parts, those asked for among them.

    `asked` has shape (texts,) or (texts, q), of which `number[i]` is q or more. Returns shape
    (texts, of): which parts the text keeps.
    """
    import numpy as np

    lots = random.random((len(number), of))
    np.put_along_axis(lots, asked.reshape(len(number), -1), -1, axis=1)
    ranks = lots.argsort(axis=1).argsort(axis=1)
    return ranks < number[:, None]


def drawn_out(words: list[str], often: int) -> list[str]:
    """Tell each word so often before the next."""
    return [word for word in words for _ in range(often)]


def retold(
    random: Generator,
    count: int,
    draw: Callable[[Generator, int, int, int], Sequence[Drawn]],
    room: int,
    least: int,
) -> list[Drawn]:
    """Draw `count` texts of `room` words, each a short one told once to as often as fills it.

    `draw(random, count, words, first)` makes texts of at most so many words, `least` or more; their
    labels go on evenly after the `first` that were drawn before. Each number of times is as likely
    on a logarithmic scale. What is left of the room is filled with the first word.

    To attention that weighs a text's words, and to a mean over them, such a text is much like the
    short one: a model learns from some texts of any length nearly as it does from short ones, and
    from the others what it has to do in long ones (`docs/learned.md`). Each word is told as often
    and then the next: of a text that is told whole and then again, MiniLM heard less
    (`benchmarks/binding.py`). A note stays that of the text told once.
    """
    import numpy as np

    most = room // least
    if most < 2:
        return list(draw(random, count, room, 0))
    times = log_uniform(random, 1, most, count)
    order = np.argsort(times, kind="stable")
    made: list[Drawn] = []
    for often, number in zip(*np.unique(times, return_counts=True), strict=True):
        for one in draw(random, int(number), room // int(often), len(made)):
            words = drawn_out(one.text.split(), int(often))
            filled = words[:1] * (room - len(words)) + words
            made.append(one._replace(text=" ".join(filled)))
    return [made[place] for place in order.argsort()]
