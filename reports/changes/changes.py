"""Everything that changed between two sides, with the verdicts of one family of tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from harness.core.inference import Estimate, decide
from harness.core.result import OK
from reports.changes.costs import CostChange, cost_changes
from reports.changes.scores import ScoreChange, score_changes
from reports.changes.sides import (
    Difference,
    Outcome,
    Side,
    differences,
    matched,
    outcomes,
    read_side,
)
from reports.compare import tested
from reports.frame import Result


@dataclass(frozen=True)
class Changes:
    """What differs between A and B, of the cells that both have.

    Attributes:
        family: the number of comparisons that are tested together.
    """

    a: Side
    b: Side
    scores: Sequence[ScoreChange]
    costs: Sequence[CostChange]
    family: int

    @cached_property
    def pairs(self) -> list[tuple[Result, Result]]:
        """The cells that both sides have."""
        return matched(self.a, self.b)

    @cached_property
    def settings(self) -> list[Difference]:
        """The settings that differ, and the machines."""
        return differences(self.a, self.b, self.pairs)

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """The cells that ended otherwise in B than in A."""
        return outcomes(self.pairs)

    @property
    def regressions(self) -> int:
        """Scores shown to be worse, costs shown to be higher, cells that fail in B only."""
        return (
            sum(one.verdict == "worse" for one in self.scores)
            + sum(one.verdict == "worse" for one in self.costs)
            + sum(one.a == OK for one in self.outcomes)
        )


def changes_between(a: str, b: str) -> Changes:
    """Compare two folders, or the cells of them that `FOLDER@NAME=VALUE` selects.

    Scores and step times are one family of tests: all verdicts together are right with a
    probability of 95 % (Holm). Memory is counted, and needs no test.

    Raises:
        BadInput: a side cannot be read.
    """
    left, right = read_side("A", a), read_side("B", b)
    scores, costs = score_changes(left, right), cost_changes(left, right)
    score_tests = [one for one in scores if tested([one.found])]
    cost_tests = [one for one in costs if one.estimate and not one.reason]
    estimates: list[Estimate] = [e for one in score_tests if (e := one.found.estimate)]
    estimates += [e for one in cost_tests if (e := one.estimate)]
    margins = [one.found.margin for one in score_tests]
    margins += [e.noise for one in cost_tests if (e := one.estimate)]
    decisions = [(bool(x), bool(y)) for x, y in decide(estimates, margins)]
    by_score = dict(zip(map(id, score_tests), decisions, strict=False))
    by_cost = dict(zip(map(id, cost_tests), decisions[len(score_tests) :], strict=True))
    return Changes(
        left,
        right,
        [
            replace(one, found=replace(one.found, differs=d[0], within=d[1]))
            if (d := by_score.get(id(one)))
            else one
            for one in scores
        ],
        [
            replace(one, differs=d[0], within=d[1]) if (d := by_cost.get(id(one))) else one
            for one in costs
        ],
        len(estimates),
    )
