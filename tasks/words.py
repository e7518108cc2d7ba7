"""Words for generated texts, each one token: in BERT's WordPiece, and after a space in SmolLM2's.

So a text has as many tokens as words, and a length asked for can be filled to the token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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


def join(words: Sequence[str], indices: NDArray[np.integer]) -> list[str]:
    """Write rows of indices into `words` as texts."""
    return [" ".join([words[index] for index in row]) for row in indices.tolist()]
