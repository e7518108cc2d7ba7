"""Which seeds arms have in common. Means that are set side by side are over these seeds alone.

A seed can be missing (not run yet), failed, timed out or diverged. Arms are compared over the seeds
that all of them have, for a seed that one arm lacks says nothing of the difference. A diverged seed
is a result of its arm: it does not take the seed from the others, but nothing is concluded about
that arm at that length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.files import BASE, REFERENCES, Result
from reports.text import listed

Finished = Callable[[Result], bool]
"""Whether a cell has the value that is shown."""

NO_COMMON_SEED = "no common seed"
TWO_SEEDS = "two seeds are too few"
"""They show that seeds differ, but not by how much (Student's t has one degree of freedom)."""


@dataclass(frozen=True)
class Place:
    """The cells of one arm at one length, by seed.

    `finished` holds the cells that have a value, `diverged` the seeds whose training diverged,
    `failed` those that failed in another way, `planned` the seeds that the sweep asks for. `once`:
    the arm is not trained, so that its one cell is compared with every seed. `reference`: it is no
    arm, but what arms are held against.
    """

    arm: str
    length: int
    finished: Mapping[int, list[Result]]
    diverged: frozenset[int]
    failed: frozenset[int]
    planned: frozenset[int]
    once: bool = False
    reference: bool = False

    @property
    def present(self) -> frozenset[int]:
        """Seeds that came to an end: with a value, or diverged."""
        return frozenset(self.finished) | self.diverged

    @property
    def complete(self) -> bool:
        """Whether no planned seed is missing, failed or timed out."""
        return bool(self.finished) if self.once else self.present >= self.planned

    @property
    def run(self) -> bool:
        """Whether every planned seed was run, well or not."""
        return self.once or self.present | self.failed >= self.planned

    @property
    def note(self) -> str:
        """`1 of 3 diverged`, `2 of 3 seeds`; empty where every planned seed has a value."""
        if self.once or len(self.planned) < 2:
            return ""
        parts = [f"{len(self.diverged)} of {len(self.planned)} diverged"] if self.diverged else []
        if not self.complete:
            parts.append(f"{len(self.finished)} of {len(self.planned)} seeds")
        return ", ".join(parts)

    def comparable(self, seeds: frozenset[int]) -> bool:
        """Whether it has all of these seeds, and a value for one of them."""
        return bool(self.finished) if self.once else self.present >= seeds and bool(
            seeds & self.finished.keys()
        )  # fmt: skip

    def by_seed(self, seeds: frozenset[int]) -> list[list[Result]]:
        """Its cells with a value, a list a seed, of these seeds."""
        return [self.finished[s] for s in sorted(self.finished) if self.once or s in seeds]

    def cells(self, seeds: frozenset[int]) -> list[Result]:
        """Its cells with a value, of these seeds."""
        return [cell for cells in self.by_seed(seeds) for cell in cells]


Places = dict[str, dict[int, Place]]
"""Places by arm and length, lengths rising."""


def seed_of(result: Result) -> int:
    """The seed of a cell; 0 where its file names none."""
    return int(result.row.get("seed") or 0)


def scored(result: Result) -> bool:
    """Whether a cell has a test score."""
    return result.ok and result["score"] is not None


def places(results: Sequence[Result], finished: Finished = scored) -> Places:
    """Every arm's cells at every length. Of several learning rates one must have been chosen."""
    planned = planned_seeds(results)
    found: dict[str, dict[int, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in sorted(results, key=lambda r: r.order):
        found[str(result["arm"])][int(result["length"])].append(result)
    return {
        arm: {n: _place(arm, n, cells, finished, planned) for n, cells in sorted(lengths.items())}
        for arm, lengths in found.items()
    }


def _place(
    arm: str, length: int, cells: Sequence[Result], finished: Finished, planned: frozenset[int]
) -> Place:
    have: dict[int, list[Result]] = {}
    for cell in cells:
        if finished(cell):
            have.setdefault(seed_of(cell), []).append(cell)
    diverged = frozenset(seed_of(c) for c in cells if c["status"] == "diverged")
    failed = frozenset(seed_of(c) for c in cells if not c.ok) - diverged
    methods = {str(c["method"]) for c in cells}
    once, reference = methods == {BASE}, methods <= {*REFERENCES}
    return Place(arm, length, have, diverged, failed, planned, once, reference)


def planned_seeds(results: Sequence[Result]) -> frozenset[int]:
    """Seeds that the sweep of these cells asks for: as its file says, and as any arm was run."""
    found: set[int] = set()
    for result in results:
        if result["method"] != BASE:
            found.add(seed_of(result))
            found |= result.planned if result["kind"] == "train" else frozenset()
    return frozenset(found or {seed_of(result) for result in results})


def common(found: Iterable[Place]) -> frozenset[int]:
    """Seeds that all of these places have; places without a value take no part."""
    sets = [place.present for place in found if place.finished and not place.once]
    return frozenset.intersection(*sets) if sets else frozenset()


def common_by_length(found: Places) -> dict[int, frozenset[int]]:
    """For each length, the seeds that all arms with a value have there.

    A reference that lacks some of them takes none away: it is left out instead.
    """
    at: dict[int, list[Place]] = defaultdict(list)
    for lengths in found.values():
        for length, place in lengths.items():
            if place.finished and not place.once:
                at[length].append(place)
    every = sorted({length for lengths in found.values() for length in lengths})
    return {n: common([p for p in at[n] if not p.reference] or at[n]) for n in every}


def comparable_cells(results: Sequence[Result], finished: Finished = scored) -> list[Result]:
    """The cells with a value that means side by side are taken over, at each length."""
    found = places(results, finished)
    seeds = common_by_length(found)
    return [
        cell
        for lengths in found.values()
        for n, place in lengths.items()
        if place.comparable(seeds[n])
        for cell in place.cells(seeds[n])
    ]


def lacks_seeds(place: Place | None) -> bool:
    """Whether a place is yet to be run, or has values but not for all planned seeds."""
    return place is None or not place.run or (bool(place.finished) and not place.complete)


def no_verdict(found: Iterable[Place]) -> str:
    """Why nothing is concluded from these places; empty where every planned seed has a value."""
    reasons = [
        f"{place.arm}: {place.note or ('diverged' if place.diverged else 'not finished')}"
        for place in found
        if place.diverged or not place.complete
    ]
    return listed(list(dict.fromkeys(reasons)))


def seeds_text(seeds: Iterable[int]) -> str:
    """`seed 0`, `seeds 0 and 2`."""
    told = [str(seed) for seed in sorted(seeds)]
    return f"seed{'' if len(told) == 1 else 's'} {listed(told)}"
