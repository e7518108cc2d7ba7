"""What a score means: its name, its unit, its range and which way is better. Known only here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.files import ACCURACY, LOSS, Result
from reports.text import shortened


@dataclass(frozen=True)
class Metric:
    """A kind of score. `label` is its name in a sentence, `unit` follows it on an axis.

    `lower`: the lower the better. `most` is None where it has no upper end; the lower end is 0.
    `by_text`: the score is the mean of a number for each text, so that texts can be paired.
    `interval`: where the result files' intervals come from.
    """

    label: str
    unit: str = ""
    lower: bool = False
    most: float | None = 1.0
    by_text: bool = False
    interval: str = "bootstrap"

    def named(self, split: str, between: str = " ") -> str:
        """As an axis names it: `Test loss (nats per token)`; a low axis needs the unit below."""
        return f"{split} {self.label}" + (f"{between}({self.unit})" if self.unit else "")

    def clipped(self, low: float, high: float) -> tuple[float, float]:
        """An interval, cut to what the metric can be."""
        return max(0.0, low), high if self.most is None else min(self.most, high)

    def rank(self, value: float) -> float:
        """A number that is higher for a better score."""
        return -value if self.lower else value

    @property
    def failed(self) -> float:
        """What a cell that failed counts as: the worst there is."""
        return float("inf") if self.lower else 0.0

    @property
    def failed_text(self) -> str:
        """How a cell that failed counts, in words."""
        return "counts as infinite" if self.lower else "counts as 0"

    @property
    def top(self) -> str:
        """The best of several is the … of them."""
        return "lowest" if self.lower else "highest"

    @property
    def behind(self) -> str:
        """A worse score is … than a better one."""
        return "higher" if self.lower else "lower"

    @property
    def past(self) -> str:
        """A better score is … a worse one."""
        return "below" if self.lower else "above"

    @property
    def moves(self) -> str:
        """What a score does that becomes better."""
        return "falls" if self.lower else "rises"

    @property
    def moving(self) -> str:
        """What a score is doing that becomes better."""
        return "falling" if self.lower else "rising"


METRICS = {
    ACCURACY: Metric("accuracy", interval="Wilson"),
    "micro_f1": Metric("micro-F1"),
    LOSS: Metric("loss", unit="nats per token", lower=True, most=None, by_text=True),
    "rouge_l": Metric("ROUGE-L", by_text=True),
    "exact_match": Metric("exact match", by_text=True),
}

MIXED = Metric("score")
UNBOUNDED = Metric("score", most=None)
"""Scores of several kinds in one place: nothing can be said of their direction."""


def metric_of(results: Iterable[Result]) -> Metric:
    """The metric of these cells.

    Cells of which none got as far as a score are taken for accuracies, which most tasks have. One
    that is not known here is taken for a share, the higher the better.
    """
    scored = [r for r in results if r["score"] is not None or r["validation_score"] is not None]
    names = {str(r["metric"] or "score") for r in scored} or {ACCURACY}
    if len(names) > 1:
        bounded = all(METRICS.get(name, MIXED).most is not None for name in names)
        return MIXED if bounded else UNBOUNDED
    name = names.pop()
    label = shortened(name.replace("_f1", "-F1").replace("_", " "), 40)
    return METRICS.get(name) or Metric(label)


def measure(results: Iterable[Result]) -> str:
    """What the scores of these cells are called: `accuracy`, `micro-F1`; `score` where mixed."""
    return metric_of(results).label
