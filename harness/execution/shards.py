"""Parts of a sweep for machines that share nothing: `run --shard 2/5`, and tasks of a job array."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, replace

from harness.core.errors import BadInput
from harness.execution.jobs import in_jobs
from harness.planning.plan import Plan


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of a sweep; `number` is from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        """Return the form of `--shard`."""
        return f"{self.number}/{self.count}"


def read_shard(text: str) -> Shard:
    """Read `2/5`.

    Raises:
        BadInput: another form, or a number beyond the count.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip(), re.ASCII)
    shard = Shard(int(found[1]), int(found[2])) if found else Shard(0, 0)
    if not 1 <= shard.number <= shard.count:
        raise BadInput(f"--shard {text}: expected a part and the number of parts, such as 2/5")
    return shard


def units_of(plan: Plan) -> list[list[str]]:
    """Return the ids of the cells that stay together.

    Each training cell is a unit. All probes are one, because costs of two machines do not join.
    """
    jobs = in_jobs({cell.id: cell for cell in plan.cells})
    timed = {cell.id for cell in plan.cells if cell.kind == "probe"}
    units = [ids for ids in jobs if ids[0] not in timed]
    probes = [i for ids in jobs if ids[0] in timed for i in ids]
    return [*units, probes] if probes else units


def split(plan: Plan, count: int) -> list[list[str]]:
    """Return the ids of the cells of each shard, balanced by their estimated costs.

    The split depends on the sweep alone, so each machine finds the same one. Shards beyond the
    number of units are empty.
    """
    costs = {cell.id: cell.estimated_cost for cell in plan.cells}
    units = sorted(units_of(plan), key=lambda ids: (-sum(costs[i] for i in ids), min(ids)))
    shards: list[list[str]] = [[] for _ in range(count)]
    loads = [(0.0, number) for number in range(count)]
    for ids in units:
        load, number = heapq.heappop(loads)
        shards[number] += ids
        heapq.heappush(loads, (load + sum(costs[i] for i in ids), number))
    return shards


def part_of(plan: Plan, shard: Shard) -> Plan:
    """Return the plan with the cells of one shard, in their order.

    Raises:
        BadInput: there are more shards than units, and this one has no cells.
    """
    ids = {*split(plan, shard.count)[shard.number - 1]}
    if not ids:
        raise BadInput(
            f"--shard {shard}: has no cells: the sweep has {len(units_of(plan))} parts that can "
            "run on their own (a training cell each, and all probes together)"
        )
    return replace(plan, cells=[cell for cell in plan.cells if cell.id in ids])
