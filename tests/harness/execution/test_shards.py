"""Parts of a sweep for machines that share nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.core.errors import BadInput
from harness.core.folder import read_run
from harness.execution.shards import Shard, part_of, read_shard, split, units_of
from harness.planning.plan import Plan
from reports import load_results
from tests.harness.conftest import run_here
from tests.harness.planning.test_plan import plan


@pytest.fixture(scope="module")
def smoke_plan() -> Plan:
    return plan("smoke.yaml", "probe.lengths=[32, 64]")


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_every_cell_is_in_one_shard_and_all_probes_are_together(
    smoke_plan: Plan, count: int
) -> None:
    shards = split(smoke_plan, count)
    ids = [cell.id for cell in smoke_plan.cells]
    assert sorted(i for shard in shards for i in shard) == sorted(ids)
    probes = {cell.id for cell in smoke_plan.cells if cell.kind == "probe"}
    assert len(probes) > 1
    assert sum(bool(probes.intersection(shard)) for shard in shards) == 1


def test_the_split_depends_on_the_sweep_alone_and_is_balanced() -> None:
    one, other = plan("newsgroups.yaml"), plan("newsgroups.yaml")
    other.cells.reverse()
    assert [sorted(ids) for ids in split(one, 3)] == [sorted(ids) for ids in split(other, 3)]
    costs = {cell.id: cell.estimated_cost for cell in one.cells}
    loads = [sum(costs[i] for i in ids) for ids in split(one, 3)]
    largest_unit = max(sum(costs[i] for i in ids) for ids in units_of(one))
    assert max(loads) - min(loads) <= largest_unit


def test_a_part_keeps_the_order_of_the_plan(smoke_plan: Plan) -> None:
    part = [cell.id for cell in part_of(smoke_plan, Shard(2, 3)).cells]
    assert part == [cell.id for cell in smoke_plan.cells if cell.id in {*part}]


@pytest.mark.parametrize("text", ["", "2", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3", "1.0/2"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="such as 2/5"):
        read_shard(text)


def test_a_shard_without_cells_is_refused(smoke_plan: Plan) -> None:
    with pytest.raises(BadInput, match=r"99/99: has no cells: the sweep has \d+ parts"):
        part_of(smoke_plan, Shard(99, 99))


def test_plan_lists_the_cells_of_the_shard(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def cells_listed(*words: str) -> set[str]:
        assert main(["plan", str(tiny), "--no-cost", *words]) == 0
        return {
            line.split()[0] for line in capsys.readouterr().out.splitlines() if "  train  " in line
        }

    first, second = cells_listed("--shard", "1/2"), cells_listed("--shard", "2/2")
    assert first
    assert second
    assert not first & second
    assert first | second == cells_listed()


def _scores(folders: Sequence[Path]) -> dict[str, object]:
    results = {i: r for folder in folders for i, r in read_run(folder).results.items()}
    return {i: (r.arm, r.scores, r.curve, r.predictions) for i, r in results.items()}


@pytest.mark.slow
def test_shards_have_the_outcomes_of_one_run_and_join_in_a_report(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = tmp_path / "whole", [tmp_path / "one", tmp_path / "two"]
    assert run_here(tiny, "--out", whole, "--set", "controls=[head]") == 0
    for number, part in enumerate(parts, 1):
        words = (tiny, "--out", part, "--shard", f"{number}/2", "--set", "controls=[head]")
        assert run_here(*words) == 0
        assert not (part / "report").exists()
    assert _scores(parts) == _scores([whole])
    out = tmp_path / "joined"
    assert main(["report", *map(str, parts), "--out", str(out)]) == 0
    assert (out / "index.html").is_file()
    assert {*load_results(*parts)["arm"]} == {*load_results(whole)["arm"]}
