"""A needle in a haystack, asked for in words: the answer is written, not chosen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from tasks.base import Example, Splits, Task, TaskMetadata
from tasks.builtin.synthetic.needle import FIXED, Needle, texts
from tasks.card import SPECIAL
from tasks.lib.lazy import generated
from tasks.lib.rows import Rows
from tasks.words import COLOURS, one_token

_END = 3
"""Words at the end of the task `needle`'s texts that ask: "the lion is"."""

_ASKED = 16
"""Tokens that the question and the words around it take, in any of the usual vocabularies."""

_ANSWER = 4


class NeedleWritten(Task):
    """The texts of the task `needle`; its question comes behind the text, its label is written."""

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        **{
            **Needle.metadata.model_dump(include={"source", "licence", "citation", "lengths"}),
            "name": "needle_written",
            "title": "Needle, the answer written: one of eight statements in a random text",
            "description": (
                "Colour of the thing asked for, in a word; eight things have a colour each, stated "
                "once, anywhere in a text of random words."
            ),
            "family": "generation",
            "metric": "exact_match",
            "answer_tokens": _ANSWER,
            "revision": f"{Needle.metadata.revision},written:1",
            "natural_length": Needle.metadata.natural_length,
            "min_length": 96,
            "lengths": Needle.metadata.lengths[1:],
            "slack": 12,
        }
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Texts that fill `length` tokens but for their question; the seed draws those of train."""
        room = length - SPECIAL - _ASKED - _ANSWER + _END
        words = one_token(self.metadata.name, self.count, FIXED)
        draw, train = (partial(texts, room=room, fewest=k, words=words) for k in (len(COLOURS), 1))
        splits = generated(self.metadata.name, length, seed, draw, train=train)
        return Splits(*map(_asked, splits))


def _asked(examples: Sequence[Example]) -> Rows:
    def make(number: int) -> Example:
        example = examples[number]
        words = example.text.split()
        return Example(
            example.id,
            " ".join(words[:-_END]),
            second=f"which colour is the {words[-2]} ?",
            answers=(COLOURS[example.label],),
        )

    return Rows(make, range(len(examples)))
