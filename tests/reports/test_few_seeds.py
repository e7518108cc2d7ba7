"""Diverged seeds keep their arm from every verdict; two seeds give no interval over seeds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest

from reports.arms import arm_tables
from reports.effective import effective_lengths
from reports.frame import Result
from reports.page import build_report
from reports.sections.comparisons import gap_text
from reports.sections.overview import summary_table
from reports.seeds import common_by_length, places
from reports.stats import score_points
from tests.reports.conftest import write_run
from tests.reports.faces import comparison, group, load_run, loaded, overview_of, rows_of
from tests.reports.made import N, arm
from tests.reports.pages import read, section

Load = Callable[..., list[Result]]

DIVERGED = [
    *arm("Full", {0: 150, 1: 151, 2: 152}),
    *arm("LoRA 1", {0: 148, 1: 149, 2: 150}),
    *arm("SSMLoRA 1", {0: 190, 1: "diverged", 2: 192}),
]


def test_a_diverged_seed_leaves_the_others_theirs_and_its_arm_without_verdict(load: Load) -> None:
    results = load(DIVERGED)
    points = score_points(results)
    assert [len(p.seeds) for (p,) in points.values()] == [3, 3, 2]
    point = points["SSMLoRA 1"][0]
    assert point.value == pytest.approx(191 / N)
    assert (point.note, point.without_interval) == ("1 of 3 diverged", True)
    assert common_by_length(places(results)) == {128: {0, 1, 2}}
    gap = comparison(group(results), "SSMLoRA 1", "LoRA 1")
    assert gap_text(gap) == "not compared (SSMLoRA 1: 1 of 3 diverged)"
    assert comparison(group(results), "Full", "LoRA 1").reason == ""
    (row,) = rows_of(overview_of(results), "Has")
    assert (row["Arm"], row["Has"]) == ("SSMLoRA 1", "1 of 3 diverged")


def test_a_diverged_seed_stands_in_every_table(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", DIVERGED)
    ((_, rows),) = summary_table(run)
    assert [row["128 tokens"] for row in rows] == ["0.755", "0.745", "0.955; 1 of 3 diverged"]
    (table,) = arm_tables(loaded(run))
    assert table.rows[2][4] == "0.955 [0.950, 0.960]; 1 of 3 diverged"


def test_an_arm_without_any_score_at_a_length_is_counted(load: Load) -> None:
    lost = arm("SSMLoRA 1", {0: "oom", 1: "diverged", 2: "oom"})
    results = load([*arm("LoRA 1", {0: 148, 1: 149, 2: 150}), *lost])
    gap = comparison(group(results), "SSMLoRA 1", "LoRA 1")
    assert gap_text(gap) == "not compared (SSMLoRA 1: 1 of 3 diverged, 2 of 3 failed)"


def test_a_length_with_a_diverged_seed_has_no_trend(load: Load) -> None:
    cells = arm("SSMLoRA 1", {0: 100, 1: 101, 2: 102}, 64)
    found = group(load([*cells, *arm("SSMLoRA 1", {0: 190, 1: "diverged", 2: 192}, 128)]))
    trend = comparison(found, "SSMLoRA 1")
    assert (trend.value, trend.verdict) == (None, "none")
    assert effective_lengths(found) == {"SSMLoRA 1": None}


def test_diverged_and_missing_seeds_of_one_arm(load: Load) -> None:
    cells = [*arm("LoRA 1", {0: 140, 1: 150, 2: 160}), *arm("SSMLoRA 1", {0: 150, 1: "diverged"})]
    points = score_points(load(cells))
    assert [p.seeds for (p,) in points.values()] == [(0.7, 0.75), (0.75,)]
    assert points["SSMLoRA 1"][0].note == "1 of 3 diverged, 1 of 3 seeds"


def test_two_seeds_have_no_interval_over_seeds(load: Load) -> None:
    results = load(arm("LoRA 1", {0: 10, 1: 23}, n=25))
    (point,) = score_points(results)["LoRA 1"]
    lows, highs = ([r[f"score_{end}"] for r in results] for end in ("low", "high"))
    assert (point.value, point.seeds) == (pytest.approx(0.66), (0.4, 0.92))
    assert (point.low, point.high) == pytest.approx((fmean(lows), fmean(highs)))
    assert 0 < point.low < point.high < 1


def test_two_seeds_are_shown_and_nothing_is_concluded(tmp_path: Path) -> None:
    cells = [*arm("LoRA 1", {0: 10, 1: 23}, n=25), *arm("SSMLoRA 1", {0: 25, 1: 23}, n=25)]
    run = write_run(tmp_path / "run", cells)
    (table,) = arm_tables(loaded(run))
    assert table.rows[0][4].endswith("[0.400, 0.920]")
    gap = comparison(group(load_run(run).results), "SSMLoRA 1", "LoRA 1")
    assert gap_text(gap).endswith(", no verdict (fewer than three seeds)")
    root = read(build_report([run], run / "report"))
    assert not re.search("better|worse|comparable", section(root, "overview").text)
    assert "two seeds give no interval" in section(root, "accuracy").text


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_no_interval_leaves_what_shares_and_their_differences_can_be(
    load: Load, seeds: int
) -> None:
    cells = []
    for seed in range(seeds):
        cells += arm("LoRA 1", {seed: 2 * (seed == 2)}, n=4)
        cells += arm("SSMLoRA 1", {seed: 4 - 2 * (seed == 1)}, n=4)
    results = load(cells)
    for (point,) in score_points(results).values():
        assert 0 <= point.low <= point.value <= point.high <= 1
    gap = comparison(group(results), "SSMLoRA 1", "LoRA 1")
    assert gap.value is not None
    assert gap.interval is not None
    assert -1 <= gap.interval[0] <= gap.value <= gap.interval[1] <= 1
