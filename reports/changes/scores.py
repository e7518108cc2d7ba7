"""Scores of the same arm in two runs: differences with intervals, paired where possible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from harness.core.inference import FEWEST_SEEDS
from reports.blocks import joined
from reports.changes.sides import Side
from reports.compare import (
    FEW_SEEDS,
    NO_COMMON_SEED,
    NO_TEXTS,
    Compared,
    Comparison,
    Verdict,
    unfinished,
)
from reports.groups import Group, Key, training_groups
from reports.joining import DATA
from reports.seeds import Place, places
from reports.stats import estimated

OTHER_DATA = "other version of the data"
OTHER_TOKENS = "other tokens are scored"
OTHER_METRIC = "other metric"

_SCORED = ("window", "target_tokens")


@dataclass(frozen=True)
class ScoreChange:
    """The scores of one arm at one length: B minus A.

    Attributes:
        a: mean score in A over `seeds`; None if there is none.
        paired: whether both sides have these seeds, so that differences are paired by seed.
    """

    group: Group
    found: Compared
    a: float | None
    b: float | None
    paired: bool

    @property
    def verdict(self) -> Verdict:
        """Whether B is better or worse than A; `none` if that is not known."""
        return self.found.verdict


def score_changes(a: Side, b: Side) -> list[ScoreChange]:
    """Compare the scores of the arms that both sides have; nothing is decided yet."""
    return [
        change
        for left, right in same_groups(training_groups([a.run]), training_groups([b.run]))
        for change in _of_group(left, right)
    ]


def same_groups(a: Sequence[Group], b: Sequence[Group]) -> list[tuple[Group, Group]]:
    """The groups of the same task and backbone; of several, those with most equal conditions."""
    near = [
        (len({*one.key.conditions} & {*other.key.conditions}), one, other)
        for one in a
        for other in b
        if one.key[1:3] == other.key[1:3]
    ]
    pairs: dict[Key, Group] = {}
    for _, one, other in sorted(near, key=lambda found: -found[0]):
        if one.key not in pairs and all(other is not taken for taken in pairs.values()):
            pairs[one.key] = other
    return [(one, pairs[one.key]) for one in a if one.key in pairs]


def _of_group(a: Group, b: Group) -> list[ScoreChange]:
    data = [dict(group.key.conditions).get(DATA) for group in (a, b)]
    reason = OTHER_DATA if data[0] != data[1] else ""
    reason = OTHER_METRIC if a.metric != b.metric else reason
    margin = min(a.margin, b.margin)
    left, right = places(a.trained), places(b.trained)
    return [
        _change(b, left[arm][n], right[arm][n], margin, reason)
        for arm in left
        if arm in right
        for n in left[arm]
        if n in right[arm] and (left[arm][n].finished or right[arm][n].finished)
    ]


def _change(group: Group, a: Place, b: Place, margin: float, reason: str) -> ScoreChange:
    """Compare two places over common seeds; over all seeds if fewer than three are common."""
    common = a.present & b.present
    every = min(len(a.present), len(b.present)) >= FEWEST_SEEDS
    paired = a.once or (bool(common) and (len(common) >= FEWEST_SEEDS or not every))
    seeds = common if paired else a.present | b.present
    weights = ((b.arm, b.length, 1.0), (a.arm, a.length, -1.0))
    about = Comparison("run", b.arm, a.arm, weights, reason or _other_tokens(a, b))
    found = _measured(about, a, b, seeds, paired, Compared(about, group.metric, margin, seeds))
    return ScoreChange(group, found, _mean(a, seeds), _mean(b, seeds), paired)


def _measured(
    about: Comparison, a: Place, b: Place, seeds: frozenset[int], paired: bool, empty: Compared
) -> Compared:
    means = [_mean(place, seeds) for place in (a, b)]
    reason = joined(about.reason, *_states(a, b), by=", ")
    if means[0] is None or means[1] is None:
        return replace(empty, reason=reason or NO_COMMON_SEED)
    plain = replace(empty, value=means[1] - means[0], reason=reason)
    if about.reason or a.diverged or b.diverged:
        return plain
    # Places of one arm share their seeds; places of two arms have independent seeds.
    other = a if paired else replace(a, arm=f"{a.arm} in A")
    estimate = estimated([(b, 1.0), (other, -1.0)], seeds)
    if estimate is None:
        return replace(plain, reason=reason or NO_TEXTS)
    reason = reason or ("" if estimate.decided else FEW_SEEDS)
    return replace(plain, value=float(estimate.value), estimate=estimate, reason=reason)


def _states(a: Place, b: Place) -> Iterable[str]:
    for letter, place in (("A", a), ("B", b)):
        if why := unfinished(place):
            yield f"{letter}: {why}"


def _mean(place: Place, seeds: frozenset[int]) -> float | None:
    found = place.by_seed(seeds)
    return fmean(fmean(float(r["score"]) for r in own) for own in found) if found else None


def _other_tokens(a: Place, b: Place) -> str:
    scored = [
        {tuple(r[name] for name in _SCORED) for own in place.finished.values() for r in own}
        for place in (a, b)
    ]
    return OTHER_TOKENS if all(scored) and scored[0] != scored[1] else ""
