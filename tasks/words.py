"""Words for generated texts, each one token to the model that reads.

So a text has as many tokens as words, and a length asked for can be filled to the token. To BERT's
WordPiece, and after a space to SmolLM2, all of them are one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.base import Count, TaskError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLOURS = ("red", "blue", "green", "yellow", "white", "black", "brown", "pink")

_ADJECTIVES = """
old new small large cold warm hot dry wet soft hard sharp smooth rough heavy light dark bright
clean dirty empty full deep shallow high low wide narrow long short thin thick fast slow early
late quiet loud calm wild tame young strong weak rich poor sweet bitter sour fresh raw round
flat straight broken whole open closed hidden lost rare common plain simple strange proud gentle
brave clever honest happy sad angry tired hungry lonely busy lazy kind cruel famous ancient
modern local royal sacred
"""
ADJECTIVES = tuple(_ADJECTIVES.split())

_NOUNS = """
river mountain forest garden house castle bridge tower road field lake island harbor village
market church school library museum theater station factory farm mill kitchen table chair bed
lamp clock mirror window door wall roof floor box bag bottle cup plate knife spoon hammer rope
wheel boat ship train car horse dog cat bird fish lion tiger bear wolf fox rabbit mouse snake
apple bread cheese cake salt sugar coffee tea book letter map picture
"""
NOUNS = tuple(_NOUNS.split())

_FILLER = """
of and to in a that for it as was with be by on not he his but at are this have from or had an
they one you were all her she there would their we him been has when who will no more if out so
up said about into than them can only other time some could these two may first then do any like
my now over such our man me even most made after also well many must before back through years
where much your way down should because just state those people how too little still own work
life day part year great
"""
FILLER = tuple(_FILLER.split())


FEWEST = 32
"""Words of a kind that must be left: as many adjectives and nouns are keys for 4,096 tokens."""


class Words(NamedTuple):
    """What texts are made of, beside the labels."""

    adjectives: tuple[str, ...] = ADJECTIVES
    nouns: tuple[str, ...] = NOUNS
    filler: tuple[str, ...] = FILLER


ALL = Words()


def one_token(name: str, count: Count | None, needed: Sequence[str]) -> Words:
    """The words that are one token each to the model that reads; `count` None: all of them.

    A word of two tokens would make texts longer than was asked for, and what stands last, the
    question, would be cut off.

    Raises:
        TaskError: one of the `needed` words is more than one token, or too few others are one.
    """
    if count is None:
        return ALL
    kept = Words(
        *(tuple(w for w, n in zip(kind, count(kind), strict=True) if n == 1) for kind in ALL)
    )
    cut = [word for word, tokens in zip(needed, count(needed), strict=True) if tokens != 1]
    for kind, left in zip(ALL, kept, strict=True):
        if len(left) < FEWEST:
            cut += [word for word in kind if word not in left]
    if cut:
        raise TaskError(
            f"{name}: its words are to be one token each, and this backbone's tokenizer cuts "
            f"'{cut[0]}' into several: take a backbone with more words, or the tasks facts_..., "
            f"which count tokens of any kind"
        )
    return kept


def join(words: Sequence[str], indices: NDArray[np.integer]) -> list[str]:
    """Write rows of indices into `words` as texts."""
    return [" ".join([words[index] for index in row]) for row in indices.tolist()]
