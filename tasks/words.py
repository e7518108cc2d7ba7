"""Words for generated texts, each a single token for the model that reads them.

A text then has as many tokens as words, so it can fill a length exactly. All words are one token in
BERT's WordPiece and, after a space, in SmolLM2's vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.base import TaskError, TokenCounter

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
"""Words of each kind, at least: adjectives and nouns then make enough keys for 4,096 tokens."""


class Words(NamedTuple):
    """The words of generated texts, apart from the labels."""

    adjectives: tuple[str, ...] = ADJECTIVES
    nouns: tuple[str, ...] = NOUNS
    filler: tuple[str, ...] = FILLER


ALL = Words()


def one_token(name: str, token_counter: TokenCounter | None, needed: Sequence[str]) -> Words:
    """The words that are one token each; with `token_counter` None, all of them.

    A word of two tokens would make texts too long, and the question at the end would be cut off.

    Raises:
        TaskError: one of the `needed` words is more than one token, or too few others are one.
    """
    if token_counter is None:
        return ALL

    def single(words: Sequence[str]) -> tuple[str, ...]:
        return tuple(w for w, n in zip(words, token_counter(words), strict=True) if n == 1)

    kept, whole = Words(*map(single, ALL)), single(needed)
    cut = [word for word in needed if word not in whole]
    for kind, left in zip(ALL, kept, strict=True):
        if len(left) < FEWEST:
            cut += [word for word in kind if word not in left]
    if cut:
        raise TaskError(
            f"{name}: this backbone's tokenizer splits the word '{cut[0]}' into several tokens; "
            f"the task needs words of one token: use a backbone with a larger vocabulary, or the "
            f"tasks facts_..., which take words of any number of tokens"
        )
    return kept


def join(words: Sequence[str], indices: NDArray[np.integer]) -> list[str]:
    """Write rows of indices into `words` as texts."""
    return [" ".join([words[index] for index in row]) for row in indices.tolist()]
