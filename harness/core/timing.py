"""What a timing group records of each of its arms, and the ratio of two arms' step times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from harness.core.values import Amount, Count, Text

Phase = Literal["train", "eval", "prefill", "decode", "prefill_merged", "decode_merged"]
PHASES: tuple[Phase, ...] = ("train", "eval")
"""What every trained arm does in a round."""
USE_PHASES: tuple[Phase, ...] = ("prefill", "decode")
"""What a language model does in a round of a probe with `decode`."""
MERGED: dict[Phase, Phase] = {"prefill": "prefill_merged", "decode": "decode_merged"}
"""The same steps after the adapter is merged into the weights."""

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
    prefill_round_s: list[Amount] = []
    """Of a forward pass over the whole prompt that fills the KV cache."""
    prefill_round_cpu_s: list[Amount] = []
    decode_round_s: list[Amount] = []
    """Of `Cell.decode` steps of one token each."""
    decode_round_cpu_s: list[Amount] = []
    prefill_merged_round_s: list[Amount] = []
    prefill_merged_round_cpu_s: list[Amount] = []
    decode_merged_round_s: list[Amount] = []
    decode_merged_round_cpu_s: list[Amount] = []
    train_cpu_s: Amount = None
    eval_cpu_s: Amount = None
    train_flops: Count = None
    eval_flops: Count = None
    peak_flops_per_s: Amount = None
    """Of a matrix product on the same machine, with the same number of threads and format."""
    train_peak_share: Amount = None

    def seconds(self, phase: Phase) -> list[float]:
        """Wall-clock seconds of a step in each round."""
        return _numbers(getattr(self, f"{phase}_round_s"))

    def cpu_seconds(self, phase: Phase) -> list[float]:
        """CPU seconds of a step in each round, summed over threads."""
        return _numbers(getattr(self, f"{phase}_round_cpu_s"))


class Ratio(NamedTuple):
    """A ratio of times and its interval. `low` and `high` are equal if there is no interval."""

    value: float
    low: float
    high: float
    rounds: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval as a factor minus 1; infinite with one round."""
        return math.sqrt(self.high / self.low) - 1 if self.rounds > 1 else math.inf


def paired_ratios(times: Mapping[str, Sequence[float]], reference: str) -> dict[str, Ratio]:
    """Return the ratio of each arm's step time to that of the reference, paired by round.

    `times` has one number per round for each arm. The estimate is the 20 % trimmed mean of the log
    ratios. The interval is Tukey and McLaughlin's, from Student's t and winsorised variances. The
    variance is the mean over arms, which helps where rounds are few. All log ratios share the
    noise of the reference, so the mean has at most four times the degrees of freedom of one arm.
    """
    rounds = min(map(len, times.values()))
    others = {arm: own for arm, own in times.items() if arm != reference}
    if not rounds or not others:
        return dict.fromkeys(times, Ratio(1, 1, 1, rounds)) if rounds else {}
    base = times[reference]
    logs = {
        arm: [math.log(a / b) for a, b in zip(own, base, strict=False)]
        for arm, own in others.items()
    }
    from scipy.stats import t

    centres = {arm: centre(own) for arm, own in logs.items()}
    half = 0.0
    if rounds > 1:
        freedom = min(c.freedom for c in centres.values()) * min(len(others), 4)
        error = math.sqrt(fmean(c.error**2 for c in centres.values()))
        half = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    found = {reference: Ratio(1, 1, 1, rounds)}
    for arm, own in centres.items():
        low, high = math.exp(own.middle - half), math.exp(own.middle + half)
        found[arm] = Ratio(math.exp(own.middle), low, high, rounds)
    return found


class Centre(NamedTuple):
    """The 20 % trimmed mean of some numbers, its standard error and degrees of freedom."""

    middle: float
    error: float
    freedom: int


def centre(values: Sequence[float]) -> Centre:
    """Return the trimmed mean; of one number without an error (0 degrees of freedom)."""
    from scipy.stats import mstats, trim_mean

    count = len(values)
    cut = int(_TRIMMED * count)
    share = (cut + 1e-9) / count  # what is cut in fact, in place of a share that is rounded down
    error = float(mstats.trimmed_stde(values, limits=(share, share))) if count > 1 else 0.0
    return Centre(float(trim_mean(values, share)), error, count - 2 * cut - 1)


def middle(values: Sequence[float]) -> float | None:
    """Return the median; None without values."""
    return median(values) if values else None


def compared(walls: list[float], cpus: list[float], device: str) -> list[float]:
    """Return the times that arms are compared by: CPU time on a CPU, where an arm has one thread.

    That is what a step takes on an idle core. Wall-clock time contains the turns of other programs.
    """
    return walls if device == "cuda" else cpus


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [value or 0.0 for value in values]
