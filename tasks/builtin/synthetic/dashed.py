"""Dashed paths that turn at random and cross nothing: what Pathfinder's images are made of.

All in integers: positions in 256ths of a pixel, directions from a table, so that every machine
draws the same.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

SIZE = 32
"""The side on which paths are laid out; a larger image has such paths at another scale."""

ON, OFF = 2, 1
"""Pixels of a dash, and of the gap after it, at scale 1."""

_STEP = ON + OFF
_FRAME = 5
"""Pixels laid around the image: more than a step and what is asked about its end."""

_WIDTH = SIZE + 2 * _FRAME
_HEADINGS = 64
_TURN = 12
"""The largest turn from dash to dash, in headings: 67.5 degrees."""

_LOOKS = 16
"""Turns tried at each dash."""


class Grown(NamedTuple):
    """Paths of the drawings in which every path found its way."""

    which: Ints
    """(n): index of the drawing."""
    start: Ints
    """(n, paths, y and x): in 256ths of a pixel, from the frame's corner."""
    heads: Ints
    """(n, paths, dashes): index into the table of directions."""


def empty(drawings: int, paths: int) -> Mask:
    """Where each path may not go, (drawings, paths, pixels): at first the frame and the border."""
    import numpy as np

    taken = np.ones((_WIDTH, _WIDTH), dtype=bool)
    taken[_FRAME + 1 : -_FRAME - 1, _FRAME + 1 : -_FRAME - 1] = False
    return np.tile(taken.ravel(), (drawings, paths, 1))


def grow(random: Generator, taken: Mask, length: int, clear: int, *, dots: bool) -> Grown:
    """Grow paths of `length` dashes, in turns, a dash at a time, all drawings at once.

    Each dash takes the first of random turns that leads to nothing taken; a drawing in which none
    does is given up. `taken` is written: for every path what lies within `clear` pixels of another,
    one farther around its ends if dots may come there, and of itself all but the last dashes.
    """
    import numpy as np

    table: Ints = np.array(_directions())
    last = length - 1
    drawings, paths, _ = taken.shape
    which = np.arange(drawings)
    inside = (_FRAME + 1) * 256, (_WIDTH - _FRAME - 1) * 256
    place = random.integers(*inside, (drawings, paths, 2))
    start, heads = place.copy(), np.zeros((drawings, paths, length), dtype=np.int64)
    track = np.zeros((drawings, paths, length * _STEP), dtype=np.int64)
    for dash, own in itertools.product(range(length), range(paths)):
        reach, ahead = (_TURN, heads[:, own, dash - 1, None]) if dash else (_HEADINGS, 0)
        ahead = (ahead + random.integers(-reach, reach + 1, (len(which), _LOOKS))) % _HEADINGS
        # The first dash begins on its place, any other a pixel after the last one's gap.
        steps = np.arange(_STEP) + (dash > 0)
        way: Ints = place[:, own, None, None] + table[ahead][:, :, None] * steps[:, None]
        pixel = asked = (way[..., 0] >> 8) * _WIDTH + (way[..., 1] >> 8)
        # A scaled path ends between the last dash's second pixel and the one after it.
        tip = {0: slice(0, 1), last: slice(ON - 1, None)}.get(dash) if dots else None
        if tip:
            around = (pixel[..., tip, None] + _square(1)).reshape(*pixel.shape[:2], -1)
            asked = np.concatenate([pixel, around], axis=2)
        good = ~taken[which[:, None, None], own, asked].any(axis=2)
        going = good.any(axis=1)
        # Rather one that leaves a gap: a sharp turn over the corner of a pixel would close it.
        before = place[:, own] - table[heads[:, own, dash - 1]] * OFF >> 8
        gap = np.abs((way[:, :, 0] >> 8) - before[:, None]).max(axis=2) > OFF
        rank = good + (good & gap).astype(int)
        row, pick = np.flatnonzero(going), rank[going].argmax(axis=1)
        which, place, start, heads, track = (a[going] for a in (which, place, start, heads, track))
        place[:, own] = way[row, pick, -1]
        heads[:, own, dash] = ahead[row, pick]
        track[:, own, dash * _STEP : (dash + 1) * _STEP] = new = pixel[row, pick]
        for other in set(range(paths)) - {own}:
            _take(taken, which, other, new, clear)
            if tip:
                _take(taken, which, other, new[:, tip], clear + 1)
        if dash > 1:
            _take(taken, which, own, track[:, own, (dash - 2) * _STEP : (dash - 1) * _STEP], clear)
    for own in range(paths):
        _take(taken, which, own, track[:, own, -2 * _STEP :], clear)
    return Grown(which, start, heads)


def lines(start: Ints, heads: Ints, unit: int) -> tuple[Ints, Ints]:
    """Pixels of paths at scale `unit`: the lit ones, (n, pixels, y and x), and the two ends."""
    import numpy as np

    moves = np.array(_directions())[heads].repeat(_STEP, axis=1)[:, 1:-OFF].repeat(unit, axis=1)
    moves = np.concatenate([moves, moves[:, -1:].repeat(unit - 1, axis=1)], axis=1)
    first = (start[:, None] - _FRAME * 256) * unit
    line = np.concatenate([first, moves], axis=1).cumsum(axis=1) >> 8
    lit = np.arange(line.shape[1]) % (_STEP * unit) < ON * unit
    return line[:, lit], line[:, [0, -1]]


def _take(taken: Mask, which: Ints, path: int, pixels: Ints, reach: int) -> None:
    taken[which[:, None, None], path, pixels[..., None] + _square(reach)] = True


def _square(reach: int) -> Ints:
    """Where the pixels within `reach` of a pixel lie, in either axis."""
    import numpy as np

    line = np.arange(-reach, reach + 1)
    return (line[:, None] * _WIDTH + line).ravel()


def _directions() -> list[tuple[int, int]]:
    """(y, x) of a step of one pixel in the larger axis, for every heading."""
    table = []
    for heading in range(_HEADINGS):
        angle = 2 * math.pi * heading / _HEADINGS
        y, x = math.sin(angle), math.cos(angle)
        longer = max(abs(y), abs(x))
        table.append((round(256 * y / longer), round(256 * x / longer)))
    return table
