"""Near-duplicate texts: quoted replies, cross-posts, postings sent twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

SHINGLE = 8
"""Words in a shingle: long enough that two texts share one only by copying."""

SHARE = 0.5
"""Two texts are near-duplicates if they share this much of the shorter one's shingles."""

_COMMON = 50
"""A shingle in more texts than this is a form (a disclaimer, a signature) and ties nobody."""


def near_duplicates(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return the index pairs (i < j) of near-duplicate texts, in time linear in their length."""
    shingles = [_shingles(text) for text in texts]
    places: dict[int, list[int]] = defaultdict(list)
    for index, own in enumerate(shingles):
        for shingle in own:
            places[shingle].append(index)
    shared: Counter[tuple[int, int]] = Counter()
    for indices in places.values():
        if 1 < len(indices) <= _COMMON:
            for position, first in enumerate(indices):
                for second in indices[position + 1 :]:
                    shared[first, second] += 1
    return [
        pair
        for pair, count in sorted(shared.items())
        if count >= SHARE * min(len(shingles[pair[0]]), len(shingles[pair[1]]))
    ]


def groups(texts: Sequence[str]) -> list[int]:
    """Return for each text the lowest index among the texts it is tied to, directly or not."""
    root = list(range(len(texts)))

    def find(index: int) -> int:
        while root[index] != index:
            root[index] = root[root[index]]
            index = root[index]
        return index

    for first, second in near_duplicates(texts):
        low, high = sorted((find(first), find(second)))
        root[high] = low
    return [find(index) for index in range(len(texts))]


def _shingles(text: str) -> set[int]:
    words = text.split()
    return {hash(tuple(words[i : i + SHINGLE])) for i in range(max(1, len(words) - SHINGLE + 1))}
