"""Near-duplicates against a slow reading of the definition."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.lib.duplicates import SHARE, SHINGLE, groups, near_duplicates


def slow(texts: list[str], common: int) -> list[tuple[int, int]]:
    sets = []
    for text in texts:
        words = text.split()
        runs = range(max(1, len(words) - SHINGLE + 1))
        sets.append({tuple(words[i : i + SHINGLE]) for i in runs})
    uses = {s: sum(s in other for other in sets) for own in sets for s in own}
    return [
        (i, j)
        for i, j in itertools.combinations(range(len(texts)), 2)
        if (shared := [s for s in sets[i] & sets[j] if uses[s] <= common])
        and len(shared) >= SHARE * min(len(sets[i]), len(sets[j]))
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("ab"), max_size=40).map(" ".join), max_size=8),
    st.sampled_from([2, 3, 50]),
)
def test_against_the_definition(texts: list[str], common: int) -> None:
    assert near_duplicates(texts, common) == slow(texts, common)


def _text(seed: int, words: int) -> str:
    draw = random.Random(seed)
    return " ".join(str(draw.randrange(10**6)) for _ in range(words))


def test_a_quoted_fifth_ties_and_less_does_not() -> None:
    original = _text(0, 107)  # 100 shingles
    quoted = original.split()
    reply = f"{' '.join(quoted[20:47])} {_text(1, 300)}"  # 20 of them
    shorter = f"{' '.join(quoted[20:46])} {_text(2, 300)}"  # 19
    assert near_duplicates([original, reply, shorter]) == [(0, 1)]


def test_the_order_of_words_counts() -> None:
    words = _text(3, 60).split()
    assert near_duplicates([" ".join(words), " ".join(reversed(words))]) == []


def test_a_form_ties_nobody() -> None:
    form = _text(4, 60)
    texts = [f"{form} {_text(i, 60)}" for i in range(100, 160)]
    assert near_duplicates(texts) == []
    assert len(near_duplicates(texts, common=60)) == 60 * 59 // 2


def test_nothing_and_odd_texts() -> None:
    assert near_duplicates([]) == []
    assert near_duplicates(["", "\ud800 lone", "", "word"]) == [(0, 2)]


def test_the_same_in_every_process() -> None:
    code = (
        "from tasks.lib.duplicates import _shingles\n"
        "print(_shingles('the quick brown fox jumps over the lazy dog again', {}, 8).tolist())"
    )
    outs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outs) == 1


@pytest.mark.parametrize(
    ("size", "pairs", "expected"),
    [
        (4, [], [0, 1, 2, 3]),
        (5, [(3, 4), (1, 3)], [0, 1, 2, 1, 1]),
        (6, [(4, 5), (0, 4), (1, 2)], [0, 1, 1, 3, 0, 0]),
    ],
)
def test_groups(size: int, pairs: list[tuple[int, int]], expected: list[int]) -> None:
    assert groups(size, pairs) == expected
