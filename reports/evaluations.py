"""What lm-eval said of the cells of a group: values by task, metric, arm and length."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from harness.core.result import Evaluation
from reports.files import Result
from reports.seeds import common_by_length, places
from reports.stats import Point, Series, one_rate_an_arm

_Z = 1.959964

Place = tuple[str, str, str, int]
"""Task, metric, arm, length."""


@dataclass(frozen=True)
class Found:
    """The evaluations of one place, over seeds: those with a value, and how others failed.

    Values are of the seeds that all arms have there; `note` says where an arm lacks seeds.
    """

    values: tuple[Evaluation, ...]
    failures: tuple[str, ...]
    note: str = ""
    diverged: bool = False

    @property
    def text(self) -> str:
        """The mean value with its standard error; empty where there is none."""
        if not self.values:
            return ""
        return value_text(fmean(e.value or 0.0 for e in self.values), self.stderr)

    @property
    def stderr(self) -> float | None:
        """The mean of the standard errors: all seeds are judged on the same examples."""
        known = [e.stderr for e in self.values if e.stderr is not None]
        return fmean(known) if known else None


def value_text(value: float, stderr: float | None) -> str:
    """A value of lm-eval: `0.520 ± 0.050`, `1.25e+03`."""

    def one(number: float) -> str:
        return f"{number:.3f}" if abs(number) < 1000 else f"{number:.3g}"

    return one(value) + ("" if stderr is None else f" ± {one(stderr)}")


def evaluated(results: Sequence[Result]) -> list[tuple[Result, Evaluation]]:
    """Every evaluation with its cell; of several learning rates those of the best."""
    return [(r, one) for r in one_rate_an_arm(results) for one in r.evaluations]


def evaluation_points(results: Sequence[Result]) -> dict[Place, Found]:
    """What was found at each place, tasks in the order of the files."""
    found: dict[Place, Found] = {}
    pairs = evaluated(results)
    whole = [r for r in one_rate_an_arm(results) if not r.evaluations and not r.ok]
    for task, metric in dict.fromkeys((one.task, one.metric) for _, one in pairs):
        own = [
            replace(r, evaluations=(e,)) for r, e in pairs if (e.task, e.metric) == (task, metric)
        ]
        every = places([*own, *whole], _valued)
        seeds = common_by_length(every)
        for arm, length in dict.fromkeys((str(r["arm"]), int(r["length"])) for r in own):
            place = every[arm][length]
            cells = place.cells(seeds[length]) if place.comparable(seeds[length]) else []
            these = [r.evaluations[0] for r in own if (r["arm"], r["length"]) == (arm, length)]
            found[task, metric, arm, length] = Found(
                tuple(one for r in cells for one in r.evaluations),
                tuple(s + (f" ×{n}" if n > 1 else "") for s, n in Counter(_failed(these)).items()),
                place.note,
                bool(place.diverged),
            )
    return found


def _valued(result: Result) -> bool:
    return bool(result.evaluations) and result.evaluations[0].value is not None


def _failed(found: Sequence[Evaluation]) -> list[str]:
    return [one.status for one in found if one.value is None]


def task_series(points: dict[Place, Found], task: str, metric: str) -> Series:
    """Values of one task by arm and length, with 95 % intervals from the standard errors.

    Where more is better and all values are shares, no interval leaves 0 to 1.
    """
    series: Series = {}
    known = [e for place, f in points.items() if place[:2] == (task, metric) for e in f.values]
    shares = all(e.higher_is_better and 0 <= (e.value or 0.0) <= 1 for e in known)
    least, most = (0.0, 1.0) if shares else (-math.inf, math.inf)
    for (name, what, arm, length), found in points.items():
        if (name, what) == (task, metric) and found.values:
            values = tuple(e.value or 0.0 for e in found.values)
            mean, half = fmean(values), _Z * (found.stderr or 0.0)
            half = 0.0 if found.diverged else half  # not a random choice of seeds
            low, high = max(least, mean - half), min(most, mean + half)
            point = Point(length, mean, low, high, values, note=found.note)
            series.setdefault(arm, []).append(point)
    return {arm: sorted(points, key=lambda p: p.length) for arm, points in series.items()}


def as_cells(results: Sequence[Result], task: str) -> list[Result]:
    """A result for each evaluation of a task, with its status; cells that failed as a whole too.

    So failures of evaluations are drawn as those of cells are.
    """
    cells = [r for r in one_rate_an_arm(results) if not r.ok and not r.evaluations]
    for result, one in evaluated(results):
        if one.task == task:
            cells.append(replace(result, row=result.row | {"status": one.status}))
    return cells


def spread_far(series: Series) -> bool:
    """Whether values span so far that a logarithmic axis shows them better, as perplexities do."""
    values = [p.value for points in series.values() for p in points]
    least, most = min(values, default=1.0), max(values, default=1.0)
    return least > 1 and math.isfinite(most) and most > 20 * least
