"""Multi-query associative recall: a list of key-value pairs that ends in three of the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import TaskMetadata
from tasks.builtin.synthetic.curricula import CURRICULA
from tasks.builtin.synthetic.pairs import draw_pairs, listed, pairs_in, place_of, write_pairs
from tasks.builtin.synthetic.recall import Recall
from tasks.lib.lazy import Draw, Drawn, GeneratedTask
from tasks.words import ALL, COLOURS, Words

if TYPE_CHECKING:
    from numpy.random import Generator

QUERIES = 3

QUESTION = 3 * QUERIES - 1
"""Words of a question: keys of two words, and full stops between them."""


class Mqar(GeneratedTask):
    """The values of three keys: "... quiet lamp blue . cold river . quiet lamp . old bear".

    The texts are those of `recall`, except for the end. The keys have different values; all sets of
    three colours are equally likely, and so are all pairs with a given colour, so the frequency of
    a colour carries no information. The answer is the set of values, each scored on its own,
    because a classifier reads a text once: which value belongs to which key is not asked. An F1 of
    .55 is reached by always answering all colours, .50 by looking up one key, .80 by two.
    """

    pinned_by = "version"
    curricula = CURRICULA
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        **{
            **Recall.metadata.model_dump(),
            "name": "mqar",
            "title": "Multi-query associative recall: the values of three of very many keys",
            "description": (
                "The colours that follow three keys of two words; the text is a list of such "
                "pairs, and ends in the keys asked for."
            ),
            "family": "multilabel",
            "revision": "generator:2",
        }
    )

    def draw_for(self, split: str, length: int, curriculum: str) -> Draw:
        """Texts of `length` tokens less 0 to 3."""
        return draw_pairs(self, texts, QUESTION, length, curriculum)


def texts(
    random: Generator,
    count: int,
    room: int,
    _first: int = 0,
    *,
    easier: bool = False,
    words: Words = ALL,
) -> list[Drawn]:
    """Draw `count` texts of at most `room` words (40 or more).

    Each has all pairs that fit; with `easier`, three (those asked for) to all of them.
    """
    import numpy as np

    pairs, values = listed(random, count, pairs_in(room, words, QUESTION), words)
    colours = np.tile(np.arange(len(COLOURS)), (count, 1))
    answers = random.permuted(colours, axis=1)[:, :QUERIES]
    asked = np.stack([place_of(random, values, answer) for answer in answers.T], axis=1)
    keys = pairs[np.arange(count)[:, None], asked][:, :, [0, 1, 3]]
    question = keys.reshape(count, -1)[:, :-1]
    written = write_pairs(random, pairs, asked, question, words, fewest=QUERIES if easier else None)
    labels = np.sort(answers, axis=1).tolist()
    first_asked = (asked.min(1) / pairs.shape[1]).tolist()
    drawn = zip(written, labels, first_asked, strict=True)
    return [Drawn(text, labels=tuple(own), position=position) for text, own, position in drawn]
