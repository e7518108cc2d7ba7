"""The comparisons that a report declares, and their verdicts.

Declared are: every arm against the control and against the reference arm at each length, arms with
a state against their mechanism controls, and the trend of every arm over length. All comparisons
of a report are one family of tests (`harness/core/inference.py`). Differences to TF-IDF are shown
without a verdict: they are not in the family.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

from harness.core.inference import LEVEL, Estimate, Power, decide, power, slope
from harness.core.methods import (
    BASELINES,
    HEAD,
    LORA,
    SSMLORA,
    TFIDF,
    WITHOUT_STATE,
    ZERO_SHOT,
)
from harness.core.metrics import Metric
from reports.blocks import joined
from reports.frame import Result
from reports.groups import Group
from reports.joining import same_texts
from reports.seeds import Place, Places, common
from reports.stats import estimated

NO_COMMON_SEED = "no common seed"
FEW_SEEDS = "fewer than three seeds"
NO_TEXTS = "no values of common test texts"
OTHER_TEXTS = "other numbers of texts"

Role = Literal["control", "reference", "mechanism", "trend", "baseline", "run"]
Verdict = Literal["better", "worse", "comparable", "undecided", "none"]


@dataclass(frozen=True)
class Comparison:
    """A weighted sum of mean scores of one or two arms.

    `weights` holds (arm, length, weight). `other` is empty for a trend. `reason` says why the two
    arms cannot be compared, if they cannot.
    """

    role: Role
    arm: str
    other: str
    weights: tuple[tuple[str, int, float], ...]
    reason: str = ""

    @property
    def lengths(self) -> list[int]:
        """The lengths, ascending."""
        return sorted({length for _, length, _ in self.weights})


@dataclass(frozen=True)
class Compared:
    """A comparison and its outcome.

    Attributes:
        seeds: the common seeds.
        value: the difference or the change; None if an arm has no score.
        estimate: None without values by text, and with a diverged seed.
        reason: why there is no verdict; empty if there is one.
        differs: whether the family's tests show a difference.
        within: whether they show that it is within the margin.
    """

    about: Comparison
    metric: Metric
    margin: float
    seeds: frozenset[int] = frozenset()
    value: float | None = None
    estimate: Estimate | None = None
    reason: str = ""
    differs: bool = False
    within: bool = False

    @property
    def verdict(self) -> Verdict:
        """The outcome in the direction of the metric; `none` if it was not tested."""
        if self.reason or self.value is None or self.about.role == "baseline":
            return "none"
        if self.differs:
            return "better" if self.metric.rank(self.value) > 0 else "worse"
        return "comparable" if self.within else "undecided"

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval, of this comparison alone; None without values by text."""
        if self.estimate is None or self.value is None:
            return None
        most = (self.metric.high or 0.0) - (self.metric.low or 0.0)
        most = float("inf") if self.metric.high is None or self.metric.low is None else most
        half = float(self.estimate.half_width())
        return max(-most, self.value - half), min(most, self.value + half)


def compared(
    groups: Sequence[Group], chosen: Callable[[Group], Sequence[Comparison]] | None = None
) -> list[list[Compared]]:
    """Compare what the groups of a report declare, or what is `chosen`; for each group its own.

    The verdicts of all groups together are wrong with a probability of at most 5 %.
    """
    every = [[_measured(group, one) for one in (chosen or declared)(group)] for group in groups]
    family = [one for found in every for one in tested(found)]
    estimates = [one.estimate for one in family if one.estimate]
    decisions = decide(estimates, [one.margin for one in family])
    verdicts = {
        id(one): (bool(differs), bool(within))
        for one, (differs, within) in zip(family, decisions, strict=True)
    }
    return [
        [
            replace(one, differs=pair[0], within=pair[1])
            for one in found
            for pair in (verdicts.get(id(one), (False, False)),)
        ]
        for found in every
    ]


def tested(found: Iterable[Compared]) -> list[Compared]:
    """The comparisons that have a verdict: the members of the family."""
    return [one for one in found if one.verdict != "none"]


def references(group: Group) -> list[str]:
    """The references that the runs of a group name; the first one counts."""
    return list(dict.fromkeys(r["comparisons"].reference for r in group.results))


def declared(group: Group) -> list[Comparison]:
    """The comparisons of a group, in the order of the questions: control, length, reference."""
    found = group.places
    first = {str(r["arm"]): r for r in reversed(group.trained)}
    arms = [first[arm] for arm in found]
    own = [a for a in arms if a["method"] not in (*BASELINES, HEAD)]
    pairs: dict[tuple[str, str], Role] = {}
    others: dict[Role, Callable[[Result], list[Result | None]]] = {
        "control": lambda arm: [_control(arm, arms)],
        "reference": lambda arm: [_reference(arm, own, references(group)[0])],
        "mechanism": lambda arm: _mechanisms(arm, own),
        "baseline": lambda _: [one for one in arms if one["method"] == TFIDF],
    }
    for role, chosen in others.items():
        for a in own:
            for other in chosen(a):
                if other is not None and other["arm"] != a["arm"]:
                    pairs.setdefault((str(a["arm"]), str(other["arm"])), role)
    made = differences(group, pairs)
    made += [
        Comparison(
            "trend", arm, "", tuple((arm, n, w) for n, w in zip(own, slope(own), strict=True))
        )
        for arm in found
        for own in ([n for n, place in found[arm].items() if place.finished],)
        if first[arm]["method"] != TFIDF and len(own) > 1
    ]
    order: list[Role] = ["control", "trend", "reference", "mechanism", "baseline"]
    return sorted(made, key=lambda one: order.index(one.role))


def differences(group: Group, pairs: Mapping[tuple[str, str], Role]) -> list[Comparison]:
    """Return the difference of each pair of arms of a group at each length that both have."""
    found = group.places
    first = {str(r["arm"]): r for r in reversed(group.trained)}
    return [
        Comparison(role, a, b, ((a, n, 1.0), (b, n, -1.0)), reason)
        for (a, b), role in pairs.items()
        if a in found and b in found
        for reason in ("" if same_texts(first[b], first[a]) else OTHER_TEXTS,)
        for n in sorted(found[a].keys() & found[b].keys())
    ]


def _options(arm: Result) -> dict[str, Any]:
    return dict(json.loads(arm["options"] or "{}"))


def _alike(arm: Result, other: Result, *columns: str) -> bool:
    """Whether two arms share these columns and the settings of their sweep."""
    return arm.get("arm_settings") == other.get("arm_settings") and all(
        arm[c] == other[c] for c in columns
    )


def _closest(arm: Result, others: Iterable[Result]) -> Result | None:
    """Of several arms, the one with the same levers, target and rate, then with fewest settings."""

    def distance(other: Result) -> tuple[Any, ...]:
        return (
            other.get("levers") != arm.get("levers"),
            other["settings"].get("target") != arm["settings"].get("target"),
            other.get("arm_suffix") != arm.get("arm_suffix") and other["lr"] != arm["lr"],
            other["rank"] != arm["rank"],
            len(str(other["arm"])),
        )

    return min(others, key=distance, default=None)


def _control(arm: Result, arms: Sequence[Result]) -> Result | None:
    """The head on the frozen backbone; for tasks without a classifier the zero-shot backbone."""
    heads = [one for one in arms if one["method"] == HEAD and _alike(arm, one)]
    bases = [one for one in arms if one["method"] == ZERO_SHOT]
    return _closest(arm, heads or [b for b in bases if same_texts(b, arm)] or bases)


def _reference(arm: Result, own: Sequence[Result], name: str) -> Result | None:
    """The reference of an arm: the same sites and rank, else density 1."""
    named = [one for one in own if name in (one["arm"], one.get("plain_arm"))]
    if named:
        return _closest(arm, [one for one in named if _alike(arm, one)])
    method = [o for o in own if o["method"] == name and not _options(o) and _alike(arm, o)]
    same = [one for one in method if _alike(arm, one, "density", "placement", "rank")]
    dense = [one for one in method if one["density"] in (None, 1.0)]
    if arm["method"] != name:
        return _closest(arm, same or dense)
    lowest = min((one["rank"] or 0 for one in dense), default=0)
    plain = [one for one in dense if one["rank"] == lowest and not one.get("levers")]
    return None if arm in plain or _differ_in_rate(arm, plain) else _closest(arm, plain)


def _differ_in_rate(arm: Result, others: Sequence[Result]) -> bool:
    """Whether an arm is a learning rate or target of one of these arms."""
    return any(arm.get("plain_arm", arm["arm"]) == o.get("plain_arm", o["arm"]) for o in others)


def _mechanisms(arm: Result, own: Sequence[Result]) -> list[Result | None]:
    """The controls of a state: without it; of SSMLoRA also LoRA with a bias or with more rank."""
    options = _options(arm)
    without = {**options, **WITHOUT_STATE.get(arm["method"], {})}
    if without == options:
        return []
    sites = ("density", "placement", "rank")
    cut = [one for one in own if _options(one) == without and _alike(arm, one, "method", *sites)]
    if arm["method"] != SSMLORA:
        return [_closest(arm, cut)]
    lora = [one for one in own if one["method"] == LORA]
    bias = [o for o in lora if _options(o) == {"bias": "lora_only"} and _alike(arm, o, *sites)]
    size = arm["trainable_params"] or 0
    matched = [
        one
        for one in lora
        if not _options(one)
        and _alike(arm, one)
        and abs((one["trainable_params"] or 0) - size) <= 0.1 * size
        and not _alike(arm, one, *sites)
        and one["density"] == 1.0
    ]
    return [_closest(arm, cut), _closest(arm, bias), _closest(arm, matched)]


def _measured(group: Group, about: Comparison) -> Compared:
    return measured(about, group.places, group.metric, group.margin)


def measured(about: Comparison, found: Places, metric: Metric, margin: float) -> Compared:
    """Estimate a comparison over the common seeds of its places, without a verdict."""
    own = [(found[arm][length], weight) for arm, length, weight in about.weights]
    seeds = common(place for place, _ in own)
    reason = joined(about.reason, _no_verdict(place for place, _ in own), by=", ")
    nothing = Compared(about, metric, margin, seeds, reason=reason or NO_COMMON_SEED)
    if about.reason or not all(place.comparable(seeds) for place, _ in own):
        return nothing
    if any(place.diverged for place, _ in own):
        return nothing
    estimate = estimated(own, seeds)
    if estimate is None:
        values = (w * _mean(place.by_seed(seeds)) for place, w in own)
        return replace(nothing, value=sum(values), reason=reason or NO_TEXTS)
    reason = reason or ("" if estimate.decided else FEW_SEEDS)
    return replace(nothing, value=float(estimate.value), estimate=estimate, reason=reason)


def _mean(by_seed: Sequence[Sequence[Result]]) -> float:
    return fmean(fmean(float(cell["score"]) for cell in cells) for cells in by_seed)


def _no_verdict(found: Iterable[Place]) -> str:
    """Why nothing is concluded from these places; empty if every planned seed has a value."""
    reasons = [f"{place.arm}: {why}" for place in found if (why := unfinished(place))]
    return joined(*dict.fromkeys(reasons), by=" and ")


def unfinished(place: Place) -> str:
    """What became of the seeds of a place: `1 of 3 diverged, 1 of 3 failed`; empty if all ended."""
    if place.complete and not place.diverged:
        return ""
    total = len(place.planned)
    counts = {"diverged": len(place.diverged), "failed": len(place.failed)}
    parts = [f"{n} of {total} {what}" for what, n in counts.items() if n]
    if not place.run:
        parts.append(f"{len(place.finished)} of {total} seeds")
    return joined(*parts, by=", ") or "failed"


def power_of(found: Sequence[Compared], family: int) -> Power | None:
    """The power of the tested differences between arms; None if nothing was tested."""
    every = [one.estimate for one in tested(found) if one.about.other and one.estimate]
    return power(every, LEVEL / family, found[0].margin) if every else None
