"""Cells by arm, length and seed, and the seeds that arms have in common.

Arms are compared over the seeds that all of them have, because a seed that one arm lacks says
nothing about a difference. A diverged seed is a result of its arm: the other arms keep the seed,
and nothing is concluded about that arm at that length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.core.methods import BASELINES, ZERO_SHOT
from reports.blocks import joined
from reports.frame import Result

Finished = Callable[[Result], bool]
"""Whether a cell has the value that is shown."""


@dataclass(frozen=True)
class Place:
    """The cells of one arm at one length, by seed.

    Attributes:
        finished: the cells with a value, by seed.
        diverged: seeds whose training diverged.
        failed: seeds that failed in another way.
        planned: seeds that the sweep asks for.
        once: the arm is not trained: its one cell is compared with every seed.
        baseline: the method trains no part of the backbone.
    """

    arm: str
    length: int
    finished: Mapping[int, list[Result]]
    diverged: frozenset[int]
    failed: frozenset[int]
    planned: frozenset[int]
    once: bool = False
    baseline: bool = False

    @property
    def present(self) -> frozenset[int]:
        """Seeds with a value or a divergence."""
        return frozenset(self.finished) | self.diverged

    @property
    def complete(self) -> bool:
        """Whether every planned seed has a value or diverged."""
        return bool(self.finished) if self.once else self.present >= self.planned

    @property
    def run(self) -> bool:
        """Whether every planned seed was run, with any outcome."""
        return self.once or self.present | self.failed >= self.planned

    @property
    def incomplete(self) -> bool:
        """Whether it is not run yet, or has values but not for all planned seeds."""
        return not self.run or (bool(self.finished) and not self.complete)

    @property
    def note(self) -> str:
        """`1 of 3 diverged`, `2 of 3 seeds`; empty if every planned seed has a value."""
        if self.once or len(self.planned) < 2:
            return ""
        total = len(self.planned)
        return joined(
            f"{len(self.diverged)} of {total} diverged" if self.diverged else "",
            "" if self.complete else f"{len(self.finished)} of {total} seeds",
            by=", ",
        )

    def comparable(self, seeds: frozenset[int]) -> bool:
        """Whether it has all of these seeds, and a value for one of them."""
        if self.once:
            return bool(self.finished)
        return self.present >= seeds and bool(seeds & self.finished.keys())

    def by_seed(self, seeds: frozenset[int]) -> list[list[Result]]:
        """Its cells with a value, one list for each of these seeds."""
        return [self.finished[s] for s in sorted(self.finished) if self.once or s in seeds]

    def cells(self, seeds: frozenset[int]) -> list[Result]:
        """Its cells with a value, of these seeds."""
        return [cell for cells in self.by_seed(seeds) for cell in cells]


Places = dict[str, dict[int, Place]]
"""Places by arm and length; lengths ascend."""


def scored(result: Result) -> bool:
    """Whether a cell has a test score."""
    return result.ok and result["score"] is not None


def arms(results: Iterable[Result]) -> list[str]:
    """Labels of the arms, in the order of the results."""
    return list(dict.fromkeys(str(result["arm"]) for result in results))


def failures(results: Iterable[Result]) -> list[Result]:
    """Cells that failed."""
    return [result for result in results if not result.ok]


def by_arm_and_length(results: Iterable[Result]) -> dict[str, dict[int, list[Result]]]:
    """Results of each arm at each length; lengths ascend."""
    found: dict[str, dict[int, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in sorted(results, key=lambda r: r.order):
        found[str(result["arm"])][int(result["length"])].append(result)
    return {arm: dict(sorted(lengths.items())) for arm, lengths in found.items()}


def places(results: Sequence[Result], finished: Finished = scored) -> Places:
    """Every arm's cells at every length. One learning rate for each arm must be chosen."""
    planned = planned_seeds(results)
    return {
        arm: {n: _place(arm, n, cells, finished, planned) for n, cells in lengths.items()}
        for arm, lengths in by_arm_and_length(results).items()
    }


def _place(
    arm: str, length: int, cells: Sequence[Result], finished: Finished, planned: frozenset[int]
) -> Place:
    have: dict[int, list[Result]] = {}
    for cell in cells:
        if finished(cell):
            have.setdefault(cell.seed, []).append(cell)
    diverged = frozenset(c.seed for c in cells if c["status"] == "diverged")
    failed = frozenset(c.seed for c in cells if not c.ok) - diverged
    methods = {str(c["method"]) for c in cells}
    once, baseline = methods == {ZERO_SHOT}, methods <= {*BASELINES}
    return Place(arm, length, have, diverged, failed, planned, once, baseline)


def planned_seeds(results: Sequence[Result]) -> frozenset[int]:
    """Seeds that the sweep of these cells asks for, and seeds that any arm ran with."""
    found: set[int] = set()
    for result in results:
        if result["method"] != ZERO_SHOT:
            found.add(result.seed)
            if result["kind"] == "train":
                found |= result.get("planned_seeds", frozenset())
    return frozenset(found or {result.seed for result in results})


def common(found: Iterable[Place]) -> frozenset[int]:
    """Seeds that all of these places have; places without a value are ignored."""
    sets = [place.present for place in found if place.finished and not place.once]
    return frozenset.intersection(*sets) if sets else frozenset()


def common_by_length(found: Places) -> dict[int, frozenset[int]]:
    """For each length, the seeds that all arms with a value have there.

    A baseline that lacks some of them takes none away: it is left out instead.
    """
    at: dict[int, list[Place]] = defaultdict(list)
    for lengths in found.values():
        for length, place in lengths.items():
            at[length] += [place] if place.finished and not place.once else []
    return {
        n: common([p for p in at[n] if not p.baseline] or at[n])
        for n in sorted({length for lengths in found.values() for length in lengths})
    }


def comparable_cells(results: Sequence[Result], finished: Finished = scored) -> list[Result]:
    """The cells with a value, of the seeds that all arms have at each length."""
    found = places(results, finished)
    seeds = common_by_length(found)
    return [
        cell
        for lengths in found.values()
        for n, place in lengths.items()
        if place.comparable(seeds[n])
        for cell in place.cells(seeds[n])
    ]
