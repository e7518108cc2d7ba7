"""Effective lengths: from which length on an arm is shown to be not worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.core.inference import LEVEL
from harness.core.metrics import Metric
from reports.compare import Comparison, measured
from reports.groups import Group
from reports.seeds import Place


def effective_length(
    arm: Mapping[int, Place], metric: Metric, margin: float, level: float = LEVEL
) -> int | None:
    """The shortest length that is sufficient: not worse than the longest by the margin or more.

    The result is the longest length if no shorter one is. None if there is no verdict (`not_worse`)
    or only one length.
    """
    lengths = sorted((n for n, place in arm.items() if place.finished), reverse=True)
    return not_worse(arm, lengths, metric, margin, level) if len(lengths) > 1 else None


def not_worse(
    arm: Mapping[int, Place], lengths: Sequence[int], metric: Metric, margin: float, level: float
) -> int | None:
    """The last of `lengths` where an arm is not worse than at the first, by the margin or more.

    Lengths are tested in their order until a test fails (a fixed sequence, so that `level` holds
    for all of them); each has a finished place. None if there is no verdict: a seed is missing or
    diverged, or there are fewer than three.
    """
    first, last = lengths[0], lengths[0]
    name = arm[first].arm
    for length in lengths[1:]:
        about = Comparison("trend", name, "", ((name, length, 1.0), (name, first, -1.0)))
        one = measured(about, {name: dict(arm)}, metric, margin)
        if one.reason or one.estimate is None:
            return None
        better = one.estimate if metric.higher_is_better else one.estimate.negative
        if float(better.at_most(-margin)) > level:
            return last
        last = length
    return last


def effective_lengths(group: Group) -> dict[str, int | None]:
    """The effective length of every arm that has scores at two lengths or more.

    Bonferroni's correction over the arms: a family of tests beside that of the comparisons.
    """
    found = {
        arm: lengths
        for arm, lengths in group.places.items()
        if sum(bool(place.finished) for place in lengths.values()) > 1
    }
    return {
        arm: effective_length(own, group.metric, group.margin, LEVEL / len(found))
        for arm, own in found.items()
    }
