"""A needle in a haystack whose answer is generated, not classified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from harness.core.cell import NO_CURRICULUM
from tasks.base import Example, Splits, TaskMetadata
from tasks.builtin.synthetic.curricula import CURRICULA, FEWER_FACTS, WARM_UP, has_fewer_facts
from tasks.builtin.synthetic.needle import FIXED, Needle, texts
from tasks.card import SPECIAL
from tasks.lib.lazy import Draw, GeneratedTask
from tasks.lib.rows import Rows
from tasks.words import COLOURS, one_token

_END = 3
"""Words of the question that ends a text of the task `needle`: "the lion is"."""

_ASKED = 16
"""Tokens of the question and the words around it, at most, in the usual vocabularies."""

_ANSWER = 4


class NeedleWritten(GeneratedTask):
    """The texts of the task `needle`, with the question after the text; the label is generated."""

    pinned_by = "version"
    curricula: ClassVar[Mapping[str, str]] = {
        FEWER_FACTS: CURRICULA[FEWER_FACTS],
        WARM_UP: "The same as fewer_facts.",
    }
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

    def draw_for(self, split: str, length: int, curriculum: str) -> Draw:
        """Texts that fill `length` tokens together with their question and answer."""
        words = one_token(self.metadata.name, self.token_counter, FIXED)
        fewest = 1 if has_fewer_facts(curriculum) else len(COLOURS)
        room = length - SPECIAL - _ASKED - _ANSWER + _END
        return partial(texts, room=room, fewest=fewest, words=words)

    def splits(self, length: int, seed: int) -> Splits:
        """Texts and questions that fill `length` tokens; the seed changes the training texts."""
        return Splits(*map(_asked, super().splits(length, seed)))

    def training(
        self, length: int, seed: int, curriculum: str = NO_CURRICULUM
    ) -> Sequence[Example]:
        """Training texts and questions under a curriculum."""
        return _asked(super().training(length, seed, curriculum))


def _asked(examples: Sequence[Example]) -> Rows:
    def make(number: int) -> Example:
        example = examples[number]
        words = example.text.split()
        return Example(
            example.id,
            " ".join(words[:-_END]),
            second=f"which colour is the {words[-2]} ?",
            answers=(COLOURS[example.label],),
            position=example.position,
        )

    return Rows(make, range(len(examples)))
