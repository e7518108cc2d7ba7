"""Contrasts of scores by seed and text: estimates, tests of a family of them, and their power.

A contrast is a weighted mean of the scores of some arms. Its variance has a part for the choice of
texts, shared by all arms, and a part for the seeds of each arm. Both parts contain the variance of
single answers, which is subtracted once (a two-way layout with crossed random effects). Degrees
of freedom: Satterthwaite (1946).

All arrays may have further axes in front: `benchmarks/null_trials.py` tests many simulated reports
at once with these functions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEWEST_SEEDS = 3
"""The fewest seeds of a verdict, and of an interval that includes the variance between seeds."""

LEVEL = 0.05
"""The error rate of a whole family of tests; intervals of single estimates have 1 minus this."""


@dataclass(frozen=True)
class SeedPart:
    """The part of an arm's seeds in a variance, and the variance of single answers within it."""

    variance: Array
    rest: Array
    seeds: int


@dataclass(frozen=True)
class Estimate:
    """A contrast with the parts of its variance.

    Attributes:
        value: the contrast of the mean scores.
        text: the part of the variance for the choice of texts.
        texts: the number of texts.
        arms: the part of each trained arm; empty with fewer than three seeds.
        decided: whether tests are possible: every trained arm has three seeds.
    """

    value: Array
    text: Array
    texts: int
    arms: tuple[SeedPart, ...] = field(default=())
    decided: bool = True

    @property
    def seeds(self) -> int:
        """The fewest seeds of a trained arm; 0 if the variance has no part for seeds."""
        return min((arm.seeds for arm in self.arms), default=0)

    @property
    def negative(self) -> Estimate:
        """The contrast with the other sign."""
        return replace(self, value=-self.value)

    def spread(self, seeds: int = 0, texts: int = 0) -> tuple[Array, Array]:
        """Return the standard error and its degrees of freedom, for other numbers if given."""
        fewer = self.texts / (texts or self.texts)
        parts: list[tuple[Array, int]] = []
        rest, text = np.zeros_like(self.text), self.text * fewer
        for arm in self.arms:
            ratio = arm.seeds / (seeds or arm.seeds)
            single = arm.rest * ratio * fewer
            own = np.maximum(arm.variance - arm.rest, 0.0) * ratio + single
            parts.append((own, (seeds or arm.seeds) - 1))
            text = text + single - arm.rest * fewer
            rest = rest + single
        parts.append((np.maximum(text, rest), (texts or self.texts) - 1))
        largest = np.max([part for part, _ in parts], axis=0)
        total = np.maximum(sum(part for part, _ in parts) - rest, largest)
        below = sum(part**2 / freedom for part, freedom in parts)
        freedom = np.divide(total**2, below, out=np.full_like(total, np.inf), where=below > 0)
        return np.sqrt(total), freedom

    def half_width(self, level: float = LEVEL, seeds: int = 0, texts: int = 0) -> Array:
        """Half the width of the interval with error rate `level`."""
        error, freedom = self.spread(seeds, texts)
        return error * student_quantile(level / 2, freedom)

    def at_most(self, bound: float) -> Array:
        """The p-value of the hypothesis that the true value is `bound` or lower."""
        error, freedom = self.spread()
        return _tail(self.value - bound, error, freedom)

    def differs(self) -> Array:
        """The p-value of the hypothesis that the true value is 0."""
        error, freedom = self.spread()
        return np.minimum(1.0, 2 * _tail(np.abs(self.value), error, freedom))

    def outside(self, margin: float) -> Array:
        """The p-value of the hypothesis that the true value is outside +-`margin`.

        The larger one of two one-sided tests (Schuirmann, 1987).
        """
        error, freedom = self.spread()
        return _tail(margin - np.abs(self.value), error, freedom)


def estimate(arms: Sequence[Array], trained: int | None = None, swing: float = 0.0) -> Estimate:
    """Estimate the sum of the means of some arms.

    Args:
        arms: for each arm its weighted scores, of shape (..., seeds, texts). All arms have the
            same texts. Seeds of different arms are independent.
        trained: how many of the arms, from the first, have seeds; all if None. The others are
            deterministic: one row, which has no variance between seeds.
        swing: for right or wrong answers, the largest change that one text can make. Two texts of
            this size are added to the variance (Bonett and Price, 2012), because equal answers to
            a few texts do not show that there is no difference.
    """
    texts = arms[0].shape[-1]
    profile = sum((y.mean(-2) for y in arms), np.zeros(()))
    squares = profile.var(-1) * texts
    text = squares / (texts * (texts - 1))
    if swing:
        text = (squares + 2 * swing**2) / (texts + 2) ** 2
    with_seeds = arms[: len(arms) if trained is None else trained]
    decided = all(y.shape[-2] >= FEWEST_SEEDS for y in with_seeds)
    parts = tuple(_seed_part(y) for y in with_seeds) if decided else ()
    return Estimate(profile.mean(-1), text, texts, parts, decided)


def _seed_part(y: Array) -> SeedPart:
    seeds, texts = y.shape[-2:]
    by_seed = y.mean(-1)
    by_text = y.mean(-2)
    squares = (
        ((y**2).sum((-2, -1)) - texts * (by_seed**2).sum(-1) - seeds * (by_text**2).sum(-1))
        + seeds * texts * by_seed.mean(-1) ** 2
    )  # fmt: skip
    rest = np.maximum(squares, 0.0) / ((seeds - 1) * (texts - 1)) / (seeds * texts)
    return SeedPart(by_seed.var(-1, ddof=1) / seeds, rest, seeds)


def student_quantile(tail: float, freedom: Array) -> Array:
    """The value that Student's t exceeds with probability `tail`.

    The functions of `scipy.stats` compute the same, 100 times slower for one value.
    """
    value: Array = -stdtrit(freedom, tail)
    return value


def _tail(distance: Array, error: Array, freedom: Array) -> Array:
    """P(T > distance / error); without any variance 0 or 1."""
    safe = np.where(error > 0, error, 1.0)
    tail: Array = stdtr(freedom, -distance / safe)
    return np.where(error > 0, tail, np.where(distance > 0, 0.0, 1.0))


def decide(
    estimates: Sequence[Estimate], margins: Sequence[float], level: float = LEVEL
) -> list[tuple[Flags, Flags]]:
    """Test a family of contrasts: for each, whether it differs from 0, and is within its margin.

    Holm's step-down method over both tests of all contrasts. At most one of the two hypotheses of
    a contrast is true, so the number of true hypotheses is never above the number of contrasts
    (Shaffer, 1986). Contrasts with too few seeds are not tested: both answers are no.
    """
    tested = [k for k, one in enumerate(estimates) if one.decided]
    shape = np.shape(estimates[0].value) if estimates else ()
    no = np.zeros(shape, dtype=bool)
    found = [(no, no) for _ in estimates]
    if not tested:
        return found
    p = [estimates[k].differs() for k in tested]
    p += [estimates[k].outside(margins[k]) for k in tested]
    rejected = _holm(np.stack(p, axis=-1), most=len(tested), level=level)
    for place, k in enumerate(tested):
        found[k] = (rejected[..., place], rejected[..., place + len(tested)])
    return found


def _holm(p: Array, most: int, level: float) -> Flags:
    """Which hypotheses Holm's method rejects, if at most `most` of them are true."""
    order = np.argsort(p, axis=-1)
    factor = np.minimum(most, np.arange(p.shape[-1], 0, -1))
    adjusted = np.maximum.accumulate(np.take_along_axis(p, order, -1) * factor, axis=-1)
    rejected = np.zeros(p.shape, dtype=bool)
    np.put_along_axis(rejected, order, adjusted <= level, axis=-1)
    return rejected


def slope(lengths: Sequence[int]) -> list[float]:
    """Weights of the fitted change from the shortest to the longest length.

    The fit is a straight line over the logarithm of the length; with two lengths it is the
    difference.
    """
    x = np.log2(np.array(lengths, dtype=float))
    x -= x.mean()
    weights: list[float] = (x * (x.max() - x.min()) / (x**2).sum()).tolist()
    return weights


@dataclass(frozen=True)
class Power:
    """What resolves a margin, with the variances of some contrasts: half the median interval.

    Attributes:
        half: half the width of the median interval.
        seeds: the fewest seeds for which it is at most the margin; None if no number is enough.
        texts: the fewest test texts, with the seeds at hand; None if no number is enough.
    """

    half: float
    seeds: int | None
    texts: int | None


MOST_SEEDS, MOST_TEXTS = 1000, 1_000_000
"""The largest numbers that are tried."""


def power(found: Sequence[Estimate], level: float, margin: float) -> Power:
    """Return how many seeds or texts make the median interval of error rate `level` narrow."""

    alike = _stacked(found)

    def half(seeds: int = 0, texts: int = 0) -> float:
        return float(median(np.concatenate([one.half_width(level, seeds, texts) for one in alike])))

    def fewest(least: int, most: int, width: Callable[[int], float]) -> int | None:
        if width(most) > margin:
            return None
        return least + bisect_left(range(least, most), True, key=lambda n: width(n) <= margin)

    seeds = fewest(FEWEST_SEEDS, MOST_SEEDS, half)
    texts = fewest(2, MOST_TEXTS, lambda n: half(texts=n))
    return Power(half(), seeds, texts)


def _stacked(found: Sequence[Estimate]) -> list[Estimate]:
    """Estimates with equal numbers of seeds and texts as one, with a further axis in front."""
    alike: dict[tuple[int, ...], list[Estimate]] = defaultdict(list)
    for one in found:
        alike[one.texts, *(arm.seeds for arm in one.arms)].append(one)
    return [
        Estimate(
            np.stack([one.value for one in own]),
            np.stack([one.text for one in own]),
            own[0].texts,
            tuple(
                SeedPart(
                    np.stack([p.variance for p in parts]),
                    np.stack([p.rest for p in parts]),
                    parts[0].seeds,
                )
                for parts in zip(*(one.arms for one in own), strict=True)
            ),
        )
        for own in alike.values()
    ]
