"""Error rate and power of the report's verdicts, on simulated reports.

Each report has six arms at three lengths. Every arm is compared with the first one at every
length, and the trend of every arm is tested: 21 comparisons in one family. The reports call the
same functions (`harness/core/inference.py`).

Scores are right or wrong. Two trainings disagree on 6 % of the texts. `sd` is the standard
deviation of an arm's true accuracy between seeds; an arm has one deviation for each seed (shared by
all lengths) or one for each seed and length.

    python benchmarks/null_trials.py --reports 1000 --jobs 2
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from harness.core import inference
from harness.core.inference import Array, Estimate

LENGTHS = (64, 128, 256)
TEXTS, MARGIN, DISAGREE = 500, 0.02, 0.06
BATCH = 100
"""Reports in memory at the same time."""


@dataclass(frozen=True)
class Row:
    """A kind of report: `gap` is how much better the second arm is than the others."""

    accuracy: float
    seeds: int
    sd: float
    shared: bool = True
    arms: int = 6
    gap: float = 0.0


@cache
def noise_share(accuracy: float) -> float:
    """The share of the noise of a training in the latent variance, for `DISAGREE`."""
    z = norm.ppf(accuracy)

    def excess(share: float) -> float:
        both = multivariate_normal.cdf([z, z], cov=[[1, 1 - share], [1 - share, 1]])
        return float(2 * (accuracy - both) - DISAGREE)

    return float(brentq(excess, 1e-4, 0.9))


def scores(row: Row, reports: int, random: np.random.Generator) -> Iterator[list[Array]]:
    """Yield for each arm its scores at each length, of shape (reports, seeds, texts)."""
    share = noise_share(row.accuracy)
    easy = random.standard_normal((reports, 1, TEXTS), dtype=np.float32) * np.sqrt(1 - share)
    for arm in range(row.arms):
        found, deviation = [], np.zeros(())
        for place in range(len(LENGTHS)):
            if not (row.shared and place):
                deviation = random.standard_normal((reports, row.seeds, 1)) * row.sd
            truth = row.accuracy + deviation + (row.gap if arm == 1 else 0.0)
            limit = norm.ppf(np.clip(truth, 0.01, 0.999)).astype(np.float32)
            noise = random.standard_normal((reports, row.seeds, TEXTS), dtype=np.float32)
            found.append((easy + noise * np.float32(np.sqrt(share)) < limit).astype(float))
        yield found


def contrast(arms: list[Array]) -> Estimate:
    """The estimate of the report, for right or wrong answers."""
    return inference.estimate(arms, swing=1.0)


def false_claims(row: Row, reports: int, random: np.random.Generator) -> int:
    """How many reports contain a false claim.

    With a gap of `MARGIN` the second arm is not within the margin of the first; it differs.
    """
    first, *others = scores(row, reports, random)
    family = [contrast([a, -b]) for arm in others for a, b in zip(arm, first, strict=True)]
    weights = inference.slope(LENGTHS)
    for arm in [first, *others]:
        family.append(contrast([sum(w * y for w, y in zip(weights, arm, strict=True))]))
    decisions = inference.decide(family, [MARGIN] * len(family))
    apart = len(LENGTHS) if row.gap else 0  # the first comparisons are those of the second arm
    false = [within if k < apart else differs for k, (differs, within) in enumerate(decisions)]
    return int(np.any(false, axis=0).sum())


def found_gaps(row: Row, reports: int, random: np.random.Generator) -> int:
    """How many reports find the difference of two arms, averaged over the lengths."""
    first, second = ([sum(arm) / len(arm)] for arm in scores(row, reports, random))
    (decision,) = inference.decide([contrast([*second, -first[0]])], [MARGIN])
    return int(decision[0].sum())


def rows() -> list[tuple[str, Row]]:
    """All rows: false claims of equal arms, of arms that differ by the margin, and power."""
    null = [
        Row(accuracy, seeds, sd, shared)
        for accuracy in (0.6, 0.89)
        for seeds in (1, 3, 5)
        for sd in (0.0, 0.0075, 0.015)
        for shared in (True, False)
    ]
    power = Row(0.89 - 0.015, 5, 0.015, arms=2, gap=0.03)
    return [
        *(("false claims", row) for row in null),
        *(("false claims", Row(0.87, 5, sd, gap=MARGIN)) for sd in (0.0, 0.0075)),
        *(("found", replace(power, shared=shared)) for shared in (True, False)),
        *(("found", replace(power, shared=shared, gap=0.0)) for shared in (True, False)),
    ]


def rate(kind: str, row: Row, reports: int, seed: int = 0) -> float:
    """The share of reports with a false claim, or that find the difference."""
    count: Callable[..., int] = found_gaps if kind == "found" else false_claims
    random = np.random.default_rng(seed)
    sizes = [min(BATCH, reports - done) for done in range(0, reports, BATCH)]
    return sum(count(row, size, random) for size in sizes) / reports


def _rate(reports: int, item: tuple[str, Row]) -> float:
    return rate(*item, reports)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reports", type=int, default=1000, help="reports in each row")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    print("| what | accuracy | seeds | sd | deviation | gap | share of reports |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    every = rows()
    with ProcessPoolExecutor(options.jobs) as pool:
        shares = pool.map(partial(_rate, options.reports), every)
        for (kind, row), share in zip(every, shares, strict=True):
            deviation = "by seed" if row.shared else "by seed and length"
            print(
                f"| {kind} | {row.accuracy:g} | {row.seeds} | {row.sd:g} | {deviation} "
                f"| {row.gap:g} | {share:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
