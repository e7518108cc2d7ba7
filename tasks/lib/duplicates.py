"""Near-duplicate texts: quoted replies, cross-posts, repeated postings, copied code.

Two texts are near-duplicates if they share `SHARE` of the shorter one's shingles (runs of
`SHINGLE` words), which is containment in the sense of Broder, "On the resemblance and containment
of documents", 1997, computed over all shingles instead of a sample.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tasks.base import Example, Splits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHINGLE = 8
"""Words in a shingle: long enough that two texts share one only by copying."""

SHARE = 0.2
"""Share of the shorter text; a reply that quotes a fifth of a posting is a near-duplicate."""

COMMON = 50
"""A shingle in more texts than this is boilerplate (a disclaimer, a signature) and is ignored."""


def near_duplicates(
    texts: Iterable[str], common: int = COMMON, shingle: int = SHINGLE, share: float = SHARE
) -> list[tuple[int, int]]:
    """Return the index pairs (i < j) of near-duplicate texts, in order.

    Texts may come from a generator; they are not kept. Shingles in more than `common` texts are
    ignored, which bounds the part of the cost that is not linear.

    Args:
        shingle: words in a shingle.
        share: of the shingles of the shorter text that the other must have.
    """
    import numpy as np
    from scipy.sparse import csr_array, triu

    known: dict[str, int] = {}
    own = [_shingles(text, known, shingle) for text in texts]
    if not own:
        return []
    sizes = np.array([len(shingles) for shingles in own])
    _, names, counts = np.unique(np.concatenate(own), return_inverse=True, return_counts=True)
    owners = np.repeat(np.arange(len(own)), sizes)
    telling = (counts[names] > 1) & (counts[names] <= common)
    has = csr_array(
        (np.ones(int(telling.sum()), dtype=np.int32), (owners[telling], names[telling])),
        shape=(len(own), len(counts)),
    )
    shared = triu(has @ has.T, k=1).tocoo()
    first, second = shared.row, shared.col
    near = shared.data >= share * np.minimum(sizes[first], sizes[second])
    return sorted(zip(first[near].tolist(), second[near].tolist(), strict=True))


def groups(size: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """For each of `size` texts, the lowest index in its connected component of `pairs`."""
    root = list(range(size))

    def find(index: int) -> int:
        while root[index] != index:
            root[index] = root[root[index]]
            index = root[index]
        return index

    for first, second in pairs:
        low, high = sorted((find(first), find(second)))
        root[high] = low
    return [find(index) for index in range(size)]


def without_duplicates(parts: Mapping[str, Sequence[Example]], common: int = COMMON) -> Splits:
    """Remove near-duplicates within and between splits, and shuffle each split.

    Of two near-duplicates, the one in train goes rather than the one in validation, and that rather
    than the one in test. Ids must be unique across the splits.
    """
    everything = [e for name in ("test", "validation", "train") for e in parts[name]]
    dropped: set[int] = set()
    for first, second in near_duplicates((e.text for e in everything), common):
        if first not in dropped:
            dropped.add(second)
    gone = {everything[index].id for index in dropped}
    left = {name: [e for e in part if e.id not in gone] for name, part in parts.items()}
    for examples in left.values():
        random.Random(0).shuffle(examples)
    return Splits(**left)


def _shingles(text: str, known: dict[str, int], shingle: int) -> NDArray[np.uint64]:
    """Hash every distinct run of `shingle` words; `known` caches the hashes of words.

    `hash` is not used because it differs between processes. A shorter text is one shingle.
    """
    import numpy as np

    words = text.split() or [""]
    for word in words:
        if word not in known:
            data = word.encode("utf-8", "surrogatepass")
            known[word] = zlib.crc32(data) << 32 | zlib.adler32(data)
    codes = np.array([known[word] for word in words], dtype=np.uint64)
    runs = max(1, len(codes) - shingle + 1)
    total = np.zeros(runs, dtype=np.uint64)
    for place in range(min(shingle, len(codes))):
        # Odd multipliers, products modulo 2^64: the order of the words counts.
        total = total * np.uint64(0x9E3779B97F4A7C15) + codes[place : place + runs]
    return np.unique(total)
