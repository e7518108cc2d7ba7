"""Costs of the same arm in two runs. Times change beyond noise; memory is counted, not sampled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np

from harness.core.inference import Array, Estimate
from harness.core.timing import MERGED, PHASES, USE_PHASES, Phase, centre, compared
from reports.changes.scores import same_groups
from reports.changes.sides import Side
from reports.compare import Verdict
from reports.frame import Result
from reports.groups import Group, cost_groups
from reports.joining import HARDWARE
from reports.sections.throughput import timing_of
from reports.seeds import by_arm_and_length
from reports.stats import cost_cells

TIME_NOISE = 0.05
"""Times of two runs of the same code differ by this share without a cause (docs/log)."""

MEMORY_NOISE = 0.01
"""Live memory is counted; allocations of libraries may differ by less than this share."""

_COUNTED = (
    ("train_live_peak_bytes", "train peak"),
    ("eval_live_peak_bytes", "eval peak"),
    ("kv_cache_bytes", "KV cache"),
)
_NOT_TESTED = (
    ("train_tokens_per_s", "train tokens/s"),
    ("eval_tokens_per_s", "eval tokens/s"),
    ("train_peak_bytes", "train peak of the process"),
)
"""Of training cells, which run beside each other."""

_PHASES: dict[Phase, str] = {
    "train": "train step", "eval": "eval step", "prefill": "prefill", "decode": "decode",
    "prefill_merged": "prefill, merged", "decode_merged": "decode, merged",
}  # fmt: skip

OTHER_MACHINE = "another machine"
NOT_IN_ROUNDS = "not measured in rounds"
OF_THE_PROCESS = "of the process, not of tensors"


@dataclass(frozen=True)
class TimeRatio(Estimate):
    """The logarithm of a ratio of times. It differs if it is shown to be beyond the noise."""

    noise: float = 0.0

    def differs(self) -> Array:
        """The p-value of the hypothesis that the true value is within +-`noise`."""
        both: Array = np.minimum(
            1.0, 2 * replace(self, value=np.abs(self.value)).at_most(self.noise)
        )
        return both


@dataclass(frozen=True)
class CostChange:
    """One cost of one arm at one length in A and in B; of what has a verdict, lower is better.

    Attributes:
        what: the cost. Times are in seconds, memory is in bytes.
        estimate: of the log ratio of times; None if it was not measured in rounds.
        reason: why there is no verdict.
        differs: whether B differs from A beyond noise.
        within: whether B is shown to be equal to A, up to noise.
    """

    group: Group
    arm: str
    length: int
    what: str
    a: float
    b: float
    unit: str
    estimate: TimeRatio | None = None
    reason: str = ""
    differs: bool = False
    within: bool = False

    @property
    def verdict(self) -> Verdict:
        """Whether B costs less (better) or more (worse) than A; `none` if that is not known."""
        if self.reason:
            return "none"
        if self.differs:
            return "better" if self.b < self.a else "worse"
        return "comparable" if self.within else "undecided"

    @property
    def ratio(self) -> float | None:
        """B divided by A."""
        return self.b / self.a if self.a else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the ratio; None for costs without rounds."""
        if self.estimate is None:
            return None
        middle, half = float(self.estimate.value), float(self.estimate.half_width())
        return math.exp(middle - half), math.exp(middle + half)


def cost_changes(a: Side, b: Side) -> list[CostChange]:
    """Compare the costs of the arms that both sides have; times are not decided yet."""
    return [
        change
        for left, right in same_groups(cost_groups([a.run]), cost_groups([b.run]))
        for change in _of_group(left, right)
    ]


def _of_group(a: Group, b: Group) -> list[CostChange]:
    machines = [[dict(group.key.conditions)[name] for name in HARDWARE] for group in (a, b)]
    reason = "" if machines[0] == machines[1] else OTHER_MACHINE
    left, right = (
        by_arm_and_length(r for r in cost_cells(group.results) if r.ok) for group in (a, b)
    )
    found: list[CostChange] = []
    noises = _Noises(left), _Noises(right)
    for arm in left:
        for n in left[arm] if arm in right else ():
            if n in right[arm]:
                pair = left[arm][n], right[arm][n]
                found += _times(b, arm, n, *pair, noises, reason)
                found += _counts(b, arm, n, *pair, reason)
    return found


class _Noises:
    """The spread of the log times of a step at each length, pooled over the arms of a run."""

    def __init__(self, cells: dict[str, dict[int, list[Result]]]) -> None:
        self._cells = cells

    def at(self, length: int, phase: Phase) -> tuple[float, int]:
        """Standard error of an arm's mean log time, and degrees of freedom."""
        own = [_logs(lengths.get(length, []), phase) for lengths in self._cells.values()]
        found = [centre(logs) for logs in own if len(logs) > 1]
        if not found:
            return 0.0, 0
        # The arms of a round share disturbances: four arms count at most.
        freedom = min(c.freedom for c in found) * min(len(found), 4)
        return math.sqrt(fmean(c.error**2 for c in found)), freedom


def _logs(cells: Sequence[Result], phase: Phase) -> list[float]:
    """The log times of a step in all rounds, by the clock that arms are compared by."""
    found: list[float] = []
    for r in cells:
        timing = timing_of(r)
        times = compared(timing.seconds(phase), timing.cpu_seconds(phase), str(r["device"]))
        found += [math.log(t) for t in times if t > 0]
    return found


def _times(
    group: Group, arm: str, length: int, a: list[Result], b: list[Result],
    noises: tuple[_Noises, _Noises], reason: str,
) -> list[CostChange]:  # fmt: skip
    """The times of all kinds of steps."""
    found = []
    for phase in (*PHASES, *USE_PHASES, *MERGED.values()):
        logs = [_logs(cells, phase) for cells in (a, b)]
        if not all(logs):
            continue
        x, y = (centre(own).middle for own in logs)
        change = CostChange(
            group, arm, length, _PHASES[phase], math.exp(x), math.exp(y), "s", reason=reason
        )
        spreads = [noise.at(length, phase) for noise in noises]
        if reason or not all(freedom for _, freedom in spreads):
            found.append(replace(change, reason=reason or "one round"))
            continue
        squares = [error**2 for error, _ in spreads]
        total = sum(squares)
        below = sum(s**2 / freedom for s, (_, freedom) in zip(squares, spreads, strict=True))
        freedom = int(total**2 / below) if below else 10**6
        estimate = TimeRatio(
            np.array(y - x), np.array(total), max(freedom, 1) + 1,
            noise=math.log1p(TIME_NOISE),
        )  # fmt: skip
        found.append(replace(change, estimate=estimate))
    return found


def _counts(
    group: Group, arm: str, length: int, a: list[Result], b: list[Result], reason: str
) -> list[CostChange]:
    """Memory, and for cells without rounds the throughput: values without a test."""
    found = []
    rounds = all(_logs(cells, "train") for cells in (a, b))
    for column, what in (*_COUNTED, *(() if rounds else _NOT_TESTED)):
        values = [[float(r[column]) for r in cells if r[column] is not None] for cells in (a, b)]
        if not all(values):
            continue
        x, y = (median(own) for own in values)
        unit = "bytes" if column.endswith("bytes") else "tokens/s"
        counted = column in dict(_COUNTED) and not reason
        why = OF_THE_PROCESS if unit == "bytes" else NOT_IN_ROUNDS
        equal = math.isclose(x, y, rel_tol=MEMORY_NOISE)
        found.append(
            CostChange(
                group, arm, length, what, x, y, unit,
                reason="" if counted else reason or why,
                differs=counted and not equal, within=counted and equal,
            )
        )  # fmt: skip
    return found
