"""The report's sentences: every number and every verdict in them follows from the cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from reports.blocks import Table
from reports.captions import alt_of, cost_summary, interval_note, links_sentence
from reports.files import Result, load_run
from reports.groups import Group, Key
from reports.stats import cost_points, score_points
from reports.tuning_section import learning_rates
from reports.words import coverage, summary
from tests.reports.conftest import make_cell, set_validation, wilson, write_run

Load = Callable[..., list[Result]]


def cell(method: str, right: int, length: int = 128, n: int = 400, **more: Any) -> dict[str, Any]:
    """A cell that has the first `right` of `n` texts right, so that arms agree on most."""
    density = more.pop("density", 1.0)
    return make_cell(
        method, density, length, accuracy=right / n, correct=[i < right for i in range(n)], **more
    )


def of(load: Load, *cells: dict[str, Any]) -> str:
    return " ".join(summary(load(cells)))


def test_the_best_arm_and_those_that_cannot_be_told_from_it(load: Load) -> None:
    text = of(load, cell("full", 360), cell("lora", 357), cell("ssmlora", 300))
    low, high = wilson(0.9, 400)
    assert (
        f"At 128 tokens Full is highest with 0.900 ({low:.3f} to {high:.3f}); LoRA 1 cannot be "
        "told from it; clearly lower: SSMLoRA 1 (−0.150)."
    ) in text
    assert "minilm on newsgroups: 3 arms at 128 tokens, 1 seed; each accuracy rests on 400" in text


def test_the_longest_length_that_most_finished_is_compared(load: Load) -> None:
    cells = [cell(m, 300, n) for m in ("full", "lora", "ssmlora") for n in (64, 128)]
    cells += [cell("lora", 390, 256), cell("ssmlora", 200, 256)]
    cells += [make_cell("full", length=256, status="oom")]
    assert "At 128 tokens, the longest that every arm finished, " in of(load, *cells)
    cells[0]["status"] = cells[1]["status"] = "oom"  # Full has nothing at all
    assert "At 256 tokens LoRA 1 is highest with 0.975" not in of(load, *cells[:2])
    assert "At 256 tokens LoRA 1 is highest with 0.975" in of(load, *cells)


def test_one_arm_is_not_the_highest(load: Load) -> None:
    text = of(load, cell("lora", 320))
    assert "LoRA 1 reaches 0.800" in text
    assert "highest" not in text
    assert "1 arm at 128 tokens" in text


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        ((380, 380), "every arm is clearly above it"),
        ((380, 301), "Full is clearly above it"),
        ((303, 302), "no arm is clearly above it"),
    ],
)
def test_the_linear_baseline_is_beaten_or_not(load: Load, rights: Sequence[int], told: str) -> None:
    text = of(load, cell("full", rights[0]), cell("lora", rights[1]), cell("tfidf", 300))
    assert f"The linear baseline TF-IDF reaches 0.750 there; {told}." in text
    assert "2 arms" in text  # the baseline is none


def test_the_state_is_judged_on_the_same_sites(load: Load) -> None:
    cells = [cell("lora", 320), cell("ssmlora", 322)]
    assert (
        "On the same sites: SSMLoRA 1 minus LoRA 1 is +0.005 (−0.005 to +0.015) at 128 tokens; "
        "the difference is not clear."
    ) in of(load, *cells)
    clear = of(load, cell("lora", 320), cell("ssmlora", 260))
    assert "SSMLoRA 1 minus LoRA 1 is −0.150" in clear
    assert "not clear" not in clear
    assert "On the same sites" not in of(load, cell("lora", 320), cell("ssmlora", 322, density=0.5))
    cells[0]["cell"]["placement"] = "first"
    assert "On the same sites" not in of(load, *cells)


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        ((240, 300, 301), "Accuracy rises with length at first: beyond 128 tokens no clear gain is left for any arm."),  # noqa: E501
        ((240, 300, 360), "every arm still gains at the longest length, 256 tokens."),
        ((300, 300, 300), "No arm's accuracy clearly rises with length."),
        ((300, 240, 200), "No arm's accuracy clearly rises with length."),
    ],
)  # fmt: skip
def test_growth_is_told_as_it_is(load: Load, rights: Sequence[int], told: str) -> None:
    cells = [
        cell(method, right, length)
        for method in ("full", "lora")
        for length, right in zip((64, 128, 256), rights, strict=True)
    ]
    assert told in of(load, *cells)


def test_arms_that_differ_in_growth_are_named(load: Load) -> None:
    cells = [cell("full", r, n) for n, r in ((64, 240), (128, 300), (256, 301))]
    cells += [cell("lora", r, n) for n, r in ((64, 240), (128, 300))]
    cells += [make_cell("lora", length=256, status="timeout")]
    assert (
        "beyond 128 tokens no clear gain is left for Full; LoRA 1 still gains at 128 tokens, the "
        "longest that it finished."
    ) in of(load, *cells)


def test_one_seed_is_admitted_and_several_are_not_warned_of(load: Load) -> None:
    assert "With one seed an interval covers the choice of test texts only" in of(
        load, cell("lora", 300)
    )
    assert "With one seed" not in of(load, cell("lora", 300), cell("lora", 310, seed=1))
    assert "no test text was read" in of(load, make_cell(accuracy=None))


def test_unequal_and_extreme_tries_are_pointed_out(load: Load) -> None:
    cells = [make_cell(lr=lr) for lr in (1e-3, 2e-3, 4e-3)]
    cells += [make_cell("full", lr=lr) for lr in (1e-4, 2e-4)]
    for made, value in zip(cells, (0.7, 0.9, 0.8, 0.8, 0.9), strict=True):
        set_validation(made, value)
    text = of(load, *cells)
    assert "The arms had unequal numbers of learning rates: Full 2 and LoRA 1 3." in text
    assert "The best rate of Full is the lowest or highest tried" in text
    (section,) = learning_rates([Group(Key("", "", ""), "", "", load(cells))])
    table = section.blocks[1]
    assert isinstance(table, Table)
    column = list(table.head).index("Best at the edge")
    assert [row[column] for row in table.rows] == ["yes: a better one may lie beyond", "no"]


def test_another_metric_is_called_by_its_name(load: Load) -> None:
    made = []
    for method, value in (("full", 0.6), ("lora", 0.3)):
        one = make_cell(method)
        about = {"score": value, "score_low": value - 0.05, "score_high": value + 0.05}
        one["scores"] = {"metric": "micro_f1", "test_examples": 50, **about}
        made.append(one)
    results = load(made)
    text = " ".join(summary(results))
    assert "each micro-F1 rests on 50 test texts" in text
    assert "Full is highest with 0.600 (0.550 to 0.650); clearly lower: LoRA 1 (−0.300)" in text
    assert "bootstrap" in interval_note(results, dots=True)
    assert "accurac" not in text


def test_costs_name_their_source_and_their_range(load: Load) -> None:
    cells = [make_cell(m, length=n, kind="probe") for m in ("full", "lora") for n in (64, 128)]
    cells.append(make_cell("lora", length=256, kind="probe"))
    cells.append(make_cell("full", length=256, kind="probe", status="oom"))
    results = load(cells)
    source, told = cost_summary(results)
    assert "5 steps of forward, backward and update after a warm-up step, in batches of 2" in source
    peaks = {a: s[1].value / 2**30 for a, s in cost_points(results, "train_peak_bytes").items()}
    assert told.startswith("Training at 128 tokens, the longest that every arm finished: ")
    assert f"peak memory from {peaks['LoRA 1']:.2f} GiB (LoRA 1) to {peaks['Full']:.2f}" in told
    assert re.search(r"tokens/s from [\d,]+ \(Full\) to [\d,]+ \(LoRA 1\)\.$", told)
    assert cost_summary(load([make_cell()]))[0].startswith("There are no probes here")
    assert cost_summary([]) == []


def test_the_words_for_those_who_see_no_figure(load: Load) -> None:
    cells = [cell("lora", 300, n) for n in (64, 128)]
    cells += [make_cell("full", length=64, seed=s, status="oom") for s in (0, 1)]
    results = load(cells)
    text = alt_of(score_points(results), "share", results, "Accuracy.")
    assert text == (
        "Accuracy. LoRA 1: 0.750 at 64 (1 of 2 seeds), 0.750 at 128 (1 of 2 seeds). Failed: Full "
        "at 64 (oom) ×2."
    )


def test_links_are_explained(load: Load) -> None:
    def told(density: float) -> str:
        return links_sentence(load([make_cell("ssmlora", density)]))

    assert told(1.0) == "10 sites receive another's state."
    assert told(0.25).startswith("One link: hardly a chain.")
    assert told(0.125).startswith("No links:")
    assert links_sentence(load([make_cell("ssmlora", status="oom", model=None)])).startswith("Not")


def test_the_head_adds_up_over_runs(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", [make_cell(), make_cell("full", status="oom")], missing=2)
    second = write_run(tmp_path / "b", [make_cell()], wall_s=400.0, overhead_share=None)
    facts = dict(coverage([load_run(first), load_run(second)]))
    assert facts == {
        "cells ok": "2", "failed": "1 (1 oom)", "not run": "2", "wall time": "30 min",
        "overhead": "6.1 %",
    }  # fmt: skip
    (second / "manifest.json").write_text('{"wall_s": 1e999, "overhead_share": "x"}')
    assert dict(coverage([load_run(second)])) == {
        "cells ok": "1", "failed": "0", "not run": "unknown",
    }  # fmt: skip
