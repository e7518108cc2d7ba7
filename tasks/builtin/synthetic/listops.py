"""ListOps of the Long Range Arena, generated: nested MIN, MAX, MED and SM over digits."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from tasks.base import Splits, Task, TaskMetadata
from tasks.lib.lazy import Draw, Drawn, generated

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

DEPTH = 10
"""Levels of a tree; a node on the last is a digit."""

ARGUMENTS = 10
"""Arguments of an operator, at most; 2 to this many are equally likely."""

OPERATOR = 0.25
"""Probability that a node above the last level is an operator."""

LONGEST = 2000
"""Expressions have fewer symbols than this, as in the Long Range Arena."""

SIZES = {"train": 96_000, "validation": 2_000, "test": 2_000}

WORDS = (*"0123456789", "min", "max", "med", "sum", "]")
"""Symbols as words. Each is one entry of BERT's vocabulary, so a symbol is a token."""

_MIN, _MAX, _MED, _SUM, _END = range(10, 15)
_ROOTS = 2_000
"""Trees grown at once."""


def bounds(length: int) -> tuple[int, int]:
    """Return (low, high), both exclusive: how many symbols an expression for `length` tokens has.

    The Long Range Arena's 500 and 2000 from 2000 tokens on. Below, a quarter of the length and the
    length less one: at most `length` - 2 symbols, so that with a tokenizer that makes each symbol
    one token and adds a token at either end (BERT's WordPiece) nothing is ever cut. At 2000 tokens
    one such expression in about a thousand loses its last symbol, which is always a bracket.
    """
    return (500, LONGEST) if length >= LONGEST else (length // 4, length - 1)


class ListOps(Task):
    """The value, 0 to 9, of an expression such as `max 2 9 min 4 7 ] 0 ]`.

    The specification is the Long Range Arena's (Tay et al., 2021): operators MIN, MAX, MED (integer
    part of the median) and SM (sum modulo 10), depth up to 10, 2 to 10 arguments, a leaf with
    probability 0.75, more than 500 and fewer than 2000 symbols, 96,000 / 2,000 / 2,000 examples.
    Its generator is unseeded; this one is seeded, so these are not the released examples.

    An operator with its opening bracket is one symbol, as there, and one word here: `[MIN` reads
    "min" and `[SM` "sum"; the closing bracket is "]". At fewer than 2000 tokens the bounds on the
    number of symbols are scaled (see `bounds`), and nothing else.

    Examples are made when they are read, 500 at a time, and cached. A checksum of the expression
    decides its split, so no two splits share one. Values are not equally frequent: 0 and 9 lead,
    because MIN and MAX are half of the operators.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="listops",
        title="ListOps (Long Range Arena), generated",
        description="Value of a nested expression of min, max, median and sum modulo 10 on digits.",
        labels=tuple("0123456789"),
        source="generated here to the specification of the Long Range Arena",
        revision="generator:2",
        licence="Apache-2.0 (this generator)",
        citation="Tay et al., Long Range Arena, ICLR 2021; Nangia and Bowman, ListOps, 2018",
        natural_length=951,
        lengths=(64, 128, 256, 512, 1024, 2000),
        min_length=32,
        whole_texts=True,
        balanced=False,
    )

    def splits(self, length: int, seed: int) -> Splits:
        """Expressions of at most `length` tokens; the seed draws the training expressions.

        Validation and test are the same for every seed. Lengths above 2000 give the expressions of
        2000. If the tokenizer splits a symbol into two tokens (a space and a digit, say), an
        expression has half as many symbols.
        """
        name, revision = self.metadata.name, self.metadata.revision
        widest = max(self.token_counter(WORDS)) if self.token_counter else 1
        symbols = min(LONGEST, length // widest)
        low, high = bounds(symbols)

        def draw_for(split: str) -> Draw:
            return partial(_draw, split, low, high)

        return generated(name, symbols, seed, draw_for, SIZES, f"{revision} {low} {high}")


def _draw(part: str, low: int, high: int, random: Generator, count: int) -> list[Drawn]:
    """Draw `count` expressions that belong to a split."""
    drawn = expressions(random, low, high)
    own = (Drawn(text, value) for text, value in drawn if _split_of(text) == part)
    return list(islice(own, count))


def _split_of(text: str) -> str:
    """Even checksums: train; odd ones: validation and test alternately."""
    return ("train", "validation", "train", "test")[zlib.crc32(text.encode()) % 4]


def expressions(state: Sequence[int] | Generator, low: int, high: int) -> Iterator[tuple[str, int]]:
    """Yield (expression, value) without end, low < symbols < high, drawn by rejection.

    The trees are distributed as those of a recursive generator, in which each node independently
    is an operator or a digit. Many are grown at once, a level at a time. The root is always an
    operator, because a digit alone is one symbol and would be rejected (`low` is 1 or more).
    """
    import numpy as np

    random = np.random.default_rng(state)
    while True:
        levels = _grow(random, low, high)
        values, widths = _evaluate(levels)
        symbols = _lay_out(levels, widths).tolist()
        start = 0
        for value, width in zip(values.tolist(), widths[0].tolist(), strict=True):
            yield " ".join([WORDS[symbol] for symbol in symbols[start : start + width]]), value
            start += width


class _Level(NamedTuple):
    """The nodes of one depth in all trees, siblings side by side, in the order of their parents."""

    parent: Ints
    """Index in the level above."""
    arity: Ints
    """Arguments; 0 for a digit."""
    symbol: Ints
    """Index in WORDS."""


def _grow(random: Generator, low: int, high: int) -> list[_Level]:
    """Grow trees from the root down; keep those of low < symbols < high."""
    import numpy as np

    tree = np.arange(_ROOTS)
    parent = np.zeros(_ROOTS, dtype=np.int64)
    size = np.zeros(_ROOTS, dtype=np.int64)
    grown: list[tuple[Ints, _Level]] = []
    for depth in range(1, DEPTH + 1):
        chance = 1.0 if depth == 1 else OPERATOR if depth < DEPTH else 0.0
        operator = random.random(len(tree)) < chance
        arity = np.where(operator, random.integers(2, ARGUMENTS + 1, len(tree)), 0)
        symbol = np.where(
            operator,
            random.integers(_MIN, _SUM + 1, len(tree)),
            random.integers(0, 10, len(tree)),
        )
        size += np.bincount(tree, minlength=_ROOTS) + np.bincount(tree[operator], minlength=_ROOTS)
        grown.append((tree, _Level(parent, arity, symbol)))
        # A tree that is too long already is not grown further, because it is rejected.
        parent = np.repeat(np.arange(len(tree)), np.where(size[tree] < high, arity, 0))
        tree = tree[parent]
    kept = (size > low) & (size < high)
    levels = []
    place = np.arange(_ROOTS)
    for tree, level in grown:
        own = kept[tree]
        levels.append(_Level(place[level.parent[own]], level.arity[own], level.symbol[own]))
        place = np.cumsum(own) - 1
    return levels


def _evaluate(levels: list[_Level]) -> tuple[Ints, list[Ints]]:
    """From the last level up: the trees' values, and every node's width in symbols."""
    import numpy as np

    value = np.zeros(0, dtype=np.int64)
    width = np.zeros(0, dtype=np.int64)
    widths: list[Ints] = []
    for depth in reversed(range(len(levels))):
        level = levels[depth]
        below, spans = value, width
        value, width = level.symbol.copy(), np.ones(len(level.symbol), dtype=np.int64)
        operator = np.flatnonzero(level.arity)
        if len(operator):
            count = level.arity[operator]
            first = np.cumsum(count) - count
            row = np.repeat(np.arange(len(operator)), count)
            # One row per operator: its sorted arguments, then padding that sorts last.
            table = np.full((len(operator), ARGUMENTS), 99)
            table[row, np.arange(len(row)) - first[row]] = below
            table.sort(axis=1)
            lines = np.arange(len(operator))
            smallest, largest = table[:, 0], table[lines, count - 1]
            median = (table[lines, (count - 1) // 2] + table[lines, count // 2]) // 2
            total = np.add.reduceat(below, first) % 10
            value[operator] = np.choose(
                level.symbol[operator] - _MIN, [smallest, largest, median, total]
            )
            width[operator] = 2 + np.add.reduceat(spans, first)
        widths.insert(0, width)
    return value, widths


def _lay_out(levels: list[_Level], widths: list[Ints]) -> Ints:
    """Write the symbols of all trees in reading order."""
    import numpy as np

    symbols = np.full(int(widths[0].sum()), _END)
    start = np.cumsum(widths[0]) - widths[0]
    for depth, level in enumerate(levels):
        if depth:
            before = np.cumsum(widths[depth]) - widths[depth]
            eldest = np.searchsorted(level.parent, level.parent)
            start = start[level.parent] + 1 + before - before[eldest]
        symbols[start] = level.symbol
    return symbols
