"""Curricula: named ways to make the training texts of generated tasks easier than test texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from tasks.lib.lazy import Draw, Drawn

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

REPEAT_TOKENS = "repeat_tokens"
FEWER_FACTS = "fewer_facts"
WARM_UP = "warm_up"

CURRICULA: Mapping[str, str] = {
    FEWER_FACTS: (
        "A training text contains a random number of the facts of a test text, always with those "
        "that decide the answer."
    ),
    REPEAT_TOKENS: (
        "A training text is a shorter text, each token repeated k times; k is log-uniform between "
        "1 and the largest number that fits the length."
    ),
    WARM_UP: "fewer_facts and repeat_tokens together.",
}


def has_fewer_facts(curriculum: str) -> bool:
    """Whether texts under a curriculum leave out facts."""
    return curriculum in (FEWER_FACTS, WARM_UP)


def has_repeated_tokens(curriculum: str) -> bool:
    """Whether texts under a curriculum repeat their tokens."""
    return curriculum in (REPEAT_TOKENS, WARM_UP)


class DrawRoom(Protocol):
    """Draws `count` texts of at most `room` words.

    Labels continue evenly after those of `first` texts that were drawn before.
    """

    def __call__(self, random: Generator, count: int, room: int, first: int = 0) -> Sequence[Drawn]:
        """Draw the texts."""


def drawer(draw: DrawRoom, room: int, least: int, curriculum: str) -> Draw:
    """Return what draws texts of `room` words, with repeated tokens if the curriculum says so."""
    if has_repeated_tokens(curriculum):
        return partial(repeat_tokens, draw=draw, room=room, least=least)
    return partial(draw, room=room)


def repeat_tokens(
    random: Generator, count: int, draw: DrawRoom, room: int, least: int
) -> list[Drawn]:
    """Draw `count` texts of `room` words: shorter texts, each word repeated k times in place.

    k is log-uniform from 1 to `room // least`, so that a short text has at least `least` words.
    The first word fills the remaining room. Notes and positions are those of the short text. Why
    repetition helps a model to learn: docs/log/2026-11-27-training-texts.md.
    """
    import numpy as np

    most = room // least
    if most < 2:
        return list(draw(random, count, room, 0))
    times = log_uniform(random, 1, most, count)
    order = np.argsort(times, kind="stable")
    made: list[Drawn] = []
    for k, number in zip(*np.unique(times, return_counts=True), strict=True):
        for one in draw(random, int(number), room // int(k), len(made)):
            words = repeat_each(one.text.split(), int(k))
            filled = words[:1] * (room - len(words)) + words
            made.append(one._replace(text=" ".join(filled)))
    return [made[place] for place in order.argsort()]


def repeat_each(words: list[str], times: int) -> list[str]:
    """Repeat each word in place: `a b` twice is `a a b b`."""
    return [word for word in words for _ in range(times)]


def log_uniform(random: Generator, fewest: int, most: int, count: int) -> NDArray[np.integer]:
    """Draw `count` integers from `fewest` (1 or more) to `most`, uniform on a logarithmic scale."""
    import numpy as np

    return np.exp(random.uniform(np.log(fewest), np.log(most + 1), count)).astype(int)


def choose_parts(
    random: Generator, number: NDArray[np.integer], asked: NDArray[np.integer], of: int
) -> NDArray[np.bool_]:
    """Choose `number[i]` of the `of` parts of text i, always with the parts asked for.

    `asked` has shape (texts,) or (texts, q), with q at most `number[i]`. Returns a mask of shape
    (texts, of).
    """
    import numpy as np

    lots = random.random((len(number), of))
    np.put_along_axis(lots, asked.reshape(len(number), -1), -1, axis=1)
    ranks = lots.argsort(axis=1).argsort(axis=1)
    return ranks < number[:, None]
