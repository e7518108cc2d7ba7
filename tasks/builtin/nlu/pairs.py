"""Lists of pairs, a key of two words and its colour, and questions for some of the keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tasks.base import Splits, Task
from tasks.builtin.synthetic.easier import log_uniform, parts_with, retold
from tasks.card import SPECIAL
from tasks.lib.lazy import Drawn, generated
from tasks.words import COLOURS, Words, join, one_token

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    Numbers = NDArray[np.integer]

FIXED = (*COLOURS, ".")
"""Words that every text needs."""


def pair_splits(
    task: Task, length: int, seed: int, texts: Callable[..., list[Drawn]], question: int
) -> Splits:
    """Splits of texts of `length` tokens less 0 to 3, those of train easier and drawn out.

    `texts(random, count, room, first, easier=..., words=...)` draws them; `question` is how many
    words their questions have.
    """
    words = one_token(task.metadata.name, task.count, FIXED)
    room = 4 * pairs_in(length - SPECIAL, words, question) + question
    least = task.metadata.min_length - SPECIAL
    short = partial(texts, easier=True, words=words)
    train = partial(retold, draw=short, room=room, least=least)
    draw = partial(texts, room=room, words=words)
    return generated(task.metadata.name, length, seed, draw, train=train)


def pairs_in(room: int, words: Words, question: int) -> int:
    """Pairs that fit into so many words, a question after them."""
    return min(_keys(words), (room - question) // 4)


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


def _vocabulary(words: Words) -> tuple[str, ...]:
    """What the numbers of a text's words stand for."""
    return (*words.adjectives, *words.nouns, *FIXED, *words.filler)


def _keys(words: Words) -> int:
    """Different keys. As many pairs are in the longest texts: of all words, 25,800 tokens."""
    return len(words.adjectives) * len(words.nouns)
