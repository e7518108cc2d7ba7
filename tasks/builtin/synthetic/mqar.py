"""Multi-query associative recall: a long list of pairs, of which the last words ask for three."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import Splits, Task, TaskMetadata
from tasks.builtin.nlu.pairs import listed, pair_splits, pairs_in, place_of, told
from tasks.builtin.synthetic.recall import Recall
from tasks.lib.lazy import Drawn
from tasks.words import ALL, COLOURS, Words

if TYPE_CHECKING:
    from numpy.random import Generator

QUERIES = 3

QUESTION = 3 * QUERIES - 1
"""Words of a question: keys of two words, and full stops between them."""


class Mqar(Task):
    """The values of three keys: "... quiet lamp blue . cold river . quiet lamp . old bear".

    The texts are those of `recall`, but for their end. The keys asked for have different values,
    every three colours are as likely, and of the pairs that have a colour each is: how often it
    occurs tells nothing. The answer is the set of the values, each of them scored, for a classifier
    reads a text once: which value is whose is not asked for. (With four keys and 32 labels, a key's
    place and its value, MiniLM stayed at chance for 6,144 texts of 96 tokens; with the set it knew
    .97 of 100 validation texts after 2,304.)

    To say all colours of every text is worth an F1 of .55, to look up one key .50 and two .80.
    """

    pinned_by = "version"
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
            "revision": "generator:1",
        }
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of `length` tokens less 0 to 3; the seed draws the training texts."""
        return pair_splits(self, length, seed, texts, QUESTION)


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

    Each is all pairs that fit; with `easier`, those asked for to all of them.
    """
    import numpy as np

    pairs, values = listed(random, count, pairs_in(room, words, QUESTION), words)
    colours = np.tile(np.arange(len(COLOURS)), (count, 1))
    answers = random.permuted(colours, axis=1)[:, :QUERIES]
    asked = np.stack([place_of(random, values, answer) for answer in answers.T], axis=1)
    keys = pairs[np.arange(count)[:, None], asked][:, :, [0, 1, 3]]
    question = keys.reshape(count, -1)[:, :-1]
    written = told(random, pairs, asked, question, words, fewest=QUERIES if easier else None)
    labels = np.sort(answers, axis=1).tolist()
    return [Drawn(text, labels=tuple(own)) for text, own in zip(written, labels, strict=True)]
