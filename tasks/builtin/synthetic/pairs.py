"""Lists of pairs, a key of two words and a colour, that end in a question for some keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tasks.base import Task
from tasks.builtin.synthetic.curricula import (
    choose_parts,
    drawer,
    has_fewer_facts,
    log_uniform,
)
from tasks.card import SPECIAL
from tasks.lib.lazy import Draw, Drawn
from tasks.words import COLOURS, Words, join, one_token

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    Numbers = NDArray[np.integer]

FIXED = (*COLOURS, ".")
"""Words that every text contains."""


def draw_pairs(
    task: Task, texts: Callable[..., list[Drawn]], question: int, length: int, curriculum: str
) -> Draw:
    """Return what draws texts of `length` tokens less 0 to 3.

    `texts(random, count, room, first, easier=..., words=...)` draws them; `question` is the number
    of words of their questions.
    """
    words = one_token(task.metadata.name, task.token_counter, FIXED)
    room = 4 * pairs_in(length - SPECIAL, words, question) + question
    draw = partial(texts, easier=has_fewer_facts(curriculum), words=words)
    return drawer(draw, room, task.metadata.min_length - SPECIAL, curriculum)


def pairs_in(room: int, words: Words, question: int) -> int:
    """The number of pairs that fit into `room` words together with a question."""
    return min(_keys(words), (room - question) // 4)


def listed(random: Generator, count: int, pairs: int, words: Words) -> tuple[Numbers, Numbers]:
    """Draw `count` lists of pairs: their words, of shape (count, pairs, 4), and their values.

    A list has each key once, and each value at least once. Values have shape (count, pairs).
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
    """The index of a pair with the text's label; all such pairs are equally likely."""
    import numpy as np

    lots = np.where(values == label[:, None], random.random(values.shape), -1)
    place: Numbers = lots.argmax(axis=1)
    return place


def write_pairs(
    random: Generator,
    pairs: Numbers,
    asked: Numbers,
    question: Numbers,
    words: Words,
    *,
    fewest: int | None,
) -> list[str]:
    """Write lists of pairs, each with a question at the end.

    Args:
        pairs: their words, of shape (texts, pairs, 4).
        asked: indices of the pairs asked for, of shape (texts,) or (texts, q).
        question: words of the question, of shape (texts, any).
        words: the vocabulary.
        fewest: keep this many to all of the pairs, those asked for among them, and replace the
            others by random words; None: keep all.
    """
    import numpy as np

    texts, most, _ = pairs.shape
    of = _vocabulary(words)
    number = log_uniform(random, most if fewest is None else fewest, most, texts)
    kept = choose_parts(random, number, asked, most)
    filler = random.integers(of.index(words.filler[0]), len(of), pairs.shape)
    body = np.where(kept[..., None], pairs, filler).reshape(texts, -1)
    return join(of, np.hstack([body, question]))


def _vocabulary(words: Words) -> tuple[str, ...]:
    """The words by number."""
    return (*words.adjectives, *words.nouns, *FIXED, *words.filler)


def _keys(words: Words) -> int:
    """The number of different keys, which limits the number of pairs (25,800 tokens)."""
    return len(words.adjectives) * len(words.nouns)
