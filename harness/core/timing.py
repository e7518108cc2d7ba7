"""What a timing group records of each of its arms, and the ratio of two arms' step times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from harness.core.values import Amount, Count, Text

Phase = Literal["train", "eval"]
PHASES: tuple[Phase, ...] = ("train", "eval")

CONFIDENCE = 0.95
_TRIMMED = 0.2
"""Share of rounds left out at each end, so that a few disturbed rounds change little."""


class Timing(BaseModel):
    """The rounds of a probe. A list has one number per round: seconds of one step.

    `train_cpu_s`, `eval_cpu_s` and the share of the peak are medians over rounds.
    """

    model_config = ConfigDict(extra="ignore")

    group: Text = None
    """The same in all results that were measured in the same rounds."""
    rounds: Count = None
    step_tokens: Count = None
    train_round_s: list[Amount] = []
    train_round_cpu_s: list[Amount] = []
    eval_round_s: list[Amount] = []
    eval_round_cpu_s: list[Amount] = []
    train_cpu_s: Amount = None
    eval_cpu_s: Amount = None
    train_flops: Count = None
    eval_flops: Count = None
    peak_flops_per_s: Amount = None
    """Of a matrix product on the same machine, with the same number of threads and format."""
    train_peak_share: Amount = None

    def seconds(self, phase: Phase) -> list[float]:
        """Wall-clock seconds of a step in each round."""
        return _numbers(self.train_round_s if phase == "train" else self.eval_round_s)

    def cpu_seconds(self, phase: Phase) -> list[float]:
        """CPU seconds of a step in each round, summed over threads."""
        return _numbers(self.train_round_cpu_s if phase == "train" else self.eval_round_cpu_s)


class Ratio(NamedTuple):
    """A ratio of times and its interval. `low` and `high` are equal if there is no interval."""

    value: float
    low: float
    high: float
    rounds: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval as a factor minus 1; infinite without an interval."""
        return math.sqrt(self.high / self.low) - 1 if self.rounds > 1 else math.inf


def paired_ratio(times: Sequence[float], reference: Sequence[float]) -> Ratio | None:
    """Return the ratio of `times` to `reference`, paired by round; None without a round.

    The estimate is the 20 % trimmed mean of the log ratios. The interval is Tukey and
    McLaughlin's: Student's t with the winsorised variance.
    """
    pairs = zip(times, reference, strict=False)
    logs = [math.log(a / b) for a, b in pairs if a > 0 and b > 0]
    if not logs:
        return None
    if len(logs) == 1:
        value = math.exp(logs[0])
        return Ratio(value, value, value, 1)
    from scipy.stats import mstats, trim_mean

    middle = float(trim_mean(logs, _TRIMMED))
    low, high = mstats.trimmed_mean_ci(logs, limits=(_TRIMMED, _TRIMMED), alpha=1 - CONFIDENCE)
    return Ratio(math.exp(middle), math.exp(float(low)), math.exp(float(high)), len(logs))


def middle(values: Sequence[float]) -> float | None:
    """Return the median; None without values."""
    return median(values) if values else None


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [value or 0.0 for value in values]
