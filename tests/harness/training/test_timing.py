"""The measured peak, and the rounds in which arms take turns."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from threading import Barrier

import pytest

from harness.core.cell import Cell
from harness.core.result import OK, CellResult, Failure
from harness.training.timing import Reading, Turn, in_rounds, peak_flops_per_s
from tests.harness.planning.test_plan import BASE


def probes(count: int, steps: int = 3) -> list[Cell]:
    """Probes that differ by their seeds."""
    changes = {"kind": "probe", "task": None, "steps": steps}
    return [BASE.model_copy(update={**changes, "seed": seed}) for seed in range(count)]


def test_the_peak_is_plausible() -> None:
    assert 1e8 < peak_flops_per_s(BASE, size=256, repeats=3) < 1e14


class Fake:
    """An arm whose steps take a known time; `fails_at`: the turn at which it fails."""

    def __init__(self, cell: Cell, log: list[tuple[int, Turn | None]], fails_at: int = -1) -> None:
        self.result: CellResult | None = None
        self._cell, self._log, self._left = cell, log, fails_at

    def ask(self, turn: Turn | None) -> Reading | None:
        self._log.append((self._cell.seed, turn))
        self._left -= 1
        if self._left == 0:
            self.result = CellResult.failed(self._cell, None, Failure("oom", "A", "b"), 1.0)
        elif turn == "end":
            self.result = CellResult.begun(self._cell)
            self.result.status = OK
        elif turn is not None:
            return Reading(1.0 + self._cell.seed, 0.5 + self._cell.seed)
        return None


def turns(log: list[tuple[int, Turn | None]]) -> Iterator[list[int]]:
    """The arms in the order of their training steps, round by round."""
    order = [arm for arm, turn in log if turn == "train"]
    count = len({*order})
    return (order[i : i + count] for i in range(0, len(order), count))


def test_every_arm_steps_once_in_each_round_in_random_order() -> None:
    orders = []
    for _ in range(2):
        log: list[tuple[int, Turn | None]] = []
        cells = probes(3, steps=8)
        results = in_rounds([Fake(cell, log) for cell in cells], cells, budget=0)
        orders.append([*turns(log)])
    assert orders[0] == orders[1]  # seeded
    assert len(orders[0]) == 8
    assert all(sorted(order) == [0, 1, 2] for order in orders[0])
    assert len({*map(tuple, orders[0])}) > 2
    (group,) = {result.timing.group for result in results if result.timing}
    assert group
    for seed, result in enumerate(results):
        assert result.timing is not None
        assert result.timing.train_round_s == [1.0 + seed] * 8
        assert (result.timing.rounds, result.timing.eval_cpu_s) == (8, 0.5 + seed)


def test_rounds_end_when_the_ratios_are_known() -> None:
    log: list[tuple[int, Turn | None]] = []
    cells = probes(2)
    in_rounds([Fake(cell, log) for cell in cells], cells, budget=60)
    assert len([*turns(log)]) == 12


def test_a_disturbed_group_goes_on_for_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Disturbed(Fake):
        def ask(self, turn: Turn | None) -> Reading | None:
            reading = super().ask(turn)
            clock[0] += 1.0
            noise = self._noise.lognormvariate(0, 0.3) if clock[0] < calm else 1.0
            return reading and Reading(reading.wall * noise, reading.cpu * noise)

        _noise = Random(0)

    def rounds() -> int:
        clock[0] = 0.0
        log: list[tuple[int, Turn | None]] = []
        in_rounds([Disturbed(cell, log) for cell in probes(2)], probes(2))
        return len([*turns(log)])

    clock = [0.0]  # a turn takes a second, so a round of two arms takes four
    monkeypatch.setattr("harness.training.timing.time.monotonic", lambda: clock[0])
    calm = 0.0
    assert rounds() == 3  # 9 seconds are the budget
    calm = 5.0  # the first round is disturbed, and left out when there are five
    assert rounds() == 5
    calm = float("inf")
    assert rounds() == 9  # 36 seconds are the limit


def test_the_time_for_further_rounds_is_that_of_the_sweep() -> None:
    log: list[tuple[int, Turn | None]] = []
    cells = [cell.model_copy(update={"probe_seconds": 0.0}) for cell in probes(2)]
    in_rounds([Fake(cell, log) for cell in cells], cells)
    assert len([*turns(log)]) == 3
    assert [cell.id for cell in cells] == [cell.id for cell in probes(2)]


def test_arms_are_prepared_side_by_side_and_step_alone() -> None:
    both = Barrier(2, timeout=10)
    log: list[tuple[int, Turn | None]] = []

    class Waiting(Fake):
        def ask(self, turn: Turn | None) -> Reading | None:
            if turn is None:
                both.wait()  # breaks unless the other arm prepares at the same time
            return super().ask(turn)

    cells = probes(2)
    results = in_rounds([Waiting(cell, log) for cell in cells], cells, budget=0, at_once=2)
    assert [result.status for result in results] == ["ok", "ok"]


@pytest.mark.parametrize("turn", [1, 2, 5])
def test_an_arm_that_fails_ends_alone(turn: int) -> None:
    log: list[tuple[int, Turn | None]] = []
    cells = probes(3)
    arms = [Fake(cell, log, turn if cell.seed == 1 else -1) for cell in cells]
    results = in_rounds(arms, cells, budget=0)
    assert [result.status for result in results] == ["ok", "oom", "ok"]
    assert [result.timing.rounds for result in results if result.timing] == [3, None, 3]
    assert len({result.timing.group for result in results if result.timing}) == 1
    assert sum(arm == 1 for arm, _ in log) == turn
