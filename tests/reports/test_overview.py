"""The overview: every number and every verdict in its tables follows from the cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from reports.frame import Result
from reports.sections.accuracy import interval_caption, score_by_length, values_alt
from reports.sections.memory import memory_by_length
from reports.sections.overview import overview
from reports.sections.size import links, score_by_parameters
from reports.sections.throughput import throughput_by_length
from reports.sections.tuning import curves, learning_rates
from reports.stats import score_points
from tests.reports.conftest import make_cell, set_validation, wilson, write_run
from tests.reports.faces import group, loaded, overview_of, rows_of, texts
from tests.reports.pages import captions

Load = Callable[..., list[Result]]


def cell(method: str, right: int, length: int = 128, n: int = 400, **more: Any) -> dict[str, Any]:
    """A cell with the first `right` of `n` answers correct, so that arms agree on most texts."""
    density = more.pop("density", 1.0)
    return make_cell(
        method, density, length, accuracy=right / n, correct=[i < right for i in range(n)], **more
    )


def compared(load: Load, *cells: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The table of differences, by arm."""
    return {row["Arm"]: row for row in rows_of(overview_of(load(cells)), "Arm")}


def same_sites(load: Load, *cells: dict[str, Any]) -> list[dict[str, str]]:
    return rows_of(overview_of(load(cells)), "SSMLoRA")


def test_the_best_arm_and_the_differences_from_it(load: Load) -> None:
    cells = [cell("full", 360), cell("lora", 357), cell("ssmlora", 300)]
    found = compared(load, *cells)
    gap = "minus Full (highest mean)"
    assert found["Full"] == {"Arm": "Full", "Test accuracy": "0.900", gap: ""}
    assert found["LoRA 1"][gap].startswith("−0.007")
    assert found["LoRA 1"][gap].endswith(", not significant")
    assert found["SSMLoRA 1"][gap].startswith("−0.150")
    assert found["SSMLoRA 1"][gap].endswith(", worse")
    notes = texts(overview_of(load(cells)))
    assert "n = 400 test texts" in notes
    assert "Seeds: 1." in notes


def test_intervals_are_those_of_the_result_files(load: Load, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", [cell("full", 360)])
    low, high = wilson(0.9, 400)
    (row,) = rows_of(overview(loaded(folder)), "128 tokens")
    assert row["128 tokens"] == f"0.900 ({low:.3f} to {high:.3f})"


def test_the_longest_length_that_most_arms_finished_is_compared(load: Load) -> None:
    cells = [cell(m, 300, n) for m in ("full", "lora", "ssmlora") for n in (64, 128)]
    cells += [cell("lora", 390, 256), cell("ssmlora", 200, 256)]
    cells += [make_cell("full", length=256, status="oom")]
    caption = "Differences at 128 tokens"
    assert any(caption in text for text in captions(overview_of(load(cells))))
    for made in cells[:2]:  # Full has no score at any length
        made["status"] = "oom"
    found = compared(load, *cells)
    assert any("Differences at 256" in text for text in captions(overview_of(load(cells))))
    assert found["LoRA 1"]["Test accuracy"] == "0.975"
    assert found["Full"]["minus LoRA 1 (highest mean)"] == "1 oom"


def test_one_arm_is_compared_with_nothing(load: Load) -> None:
    assert captions(overview_of(load([cell("lora", 320)]))) == []


@pytest.mark.parametrize(
    ("rights", "verdicts"),
    [
        ((380, 380), ["better", "better"]),
        ((380, 301), ["better", "not significant"]),
        ((303, 302), ["not significant", "not significant"]),
        ((250, 302), ["worse", "not significant"]),
    ],
)
def test_arms_are_compared_with_the_linear_baseline(
    load: Load, rights: Sequence[int], verdicts: list[str]
) -> None:
    found = compared(load, cell("full", rights[0]), cell("lora", rights[1]), cell("tfidf", 300))
    assert list(found) == ["Full", "LoRA 1"]  # the baseline is not an arm
    assert [found[a]["minus TF-IDF"].split(", ")[1] for a in found] == verdicts


def test_the_state_is_judged_on_the_same_sites(load: Load) -> None:
    cells = [cell("lora", 320), cell("ssmlora", 322)]
    (row,) = same_sites(load, *cells)
    assert row["Difference"] == "+0.005 (−0.005 to +0.015), not significant"
    assert (row["SSMLoRA"], row["LoRA"], row["Length"]) == ("SSMLoRA 1", "LoRA 1", "128")
    (row,) = same_sites(load, cell("lora", 320), cell("ssmlora", 260))
    assert row["Difference"].startswith("−0.150")
    assert row["Difference"].endswith(", worse")
    assert same_sites(load, cell("lora", 320), cell("ssmlora", 322, density=0.5)) == []
    cells[0]["cell"]["placement"] = "first"
    assert same_sites(load, *cells) == []


def test_seeds_and_test_texts_are_noted(load: Load) -> None:
    one = texts(overview_of(load([cell("lora", 300)])))
    assert "leave out seed variance" in one
    three = [cell("lora", 300 + s, seed=s) for s in range(3)]
    assert "leave out seed variance" not in texts(overview_of(load(three)))
    assert "No test text was read" in texts(overview_of(load([make_cell(accuracy=None)])))


def test_a_curriculum_is_named(load: Load, tmp_path: Path) -> None:
    made = cell("lora", 300)
    assert "curriculum" not in texts(overview_of(load([made])))
    made["cell"]["curriculum"] = "repeat_tokens"
    assert "curriculum repeat_tokens" in texts(overview_of(load([made])))
    folder = write_run(tmp_path / "a", [made, cell("lora", 300, 64, density=0.5)])
    for section in (score_by_length, score_by_parameters, curves):
        assert "curriculum repeat_tokens" in captions(section(loaded(folder)))[0], section


def test_unequal_and_extreme_rates_are_pointed_out(tmp_path: Path) -> None:
    cells = [make_cell(lr=lr) for lr in (1e-3, 2e-3, 4e-3)]
    cells += [make_cell("full", lr=lr) for lr in (1e-4, 2e-4)]
    for made, value in zip(cells, (0.7, 0.9, 0.8, 0.8, 0.9), strict=True):
        set_validation(made, value)
    blocks = learning_rates(loaded(write_run(tmp_path / "a", cells)))
    assert any("Unequal numbers of rates" in text for text in captions(blocks))
    found = {row["Arm"]: row for row in rows_of(blocks, "Rates")}
    assert {arm: row["Rates"] for arm, row in found.items()} == {"Full": "2", "LoRA 1": "3"}
    assert [row["Best at the edge"][:3] for row in found.values()] == ["yes", "no"]


def test_another_metric_has_its_name_and_interval(load: Load) -> None:
    made = []
    for method, value in (("full", 0.6), ("lora", 0.3)):
        one = make_cell(method)
        about = {"score": value, "score_low": value - 0.05, "score_high": value + 0.05}
        one["scores"] = {"metric": "micro_f1", "test_examples": 50, **about}
        made.append(one)
    results = load(made)
    found = {row["Arm"]: row for row in rows_of(overview_of(results), "Arm")}
    assert found["Full"]["Test micro-F1"] == "0.600"
    assert found["LoRA 1"]["minus Full (highest mean)"].startswith("−0.300")
    assert "bootstrap" in interval_caption(group(results))


def test_negative_scores_are_compared(load: Load) -> None:
    made = []
    for method, value in (("full", 0.1), ("lora", -0.3)):
        one = make_cell(method)
        about = {"score": value, "score_low": value - 0.05, "score_high": value + 0.05}
        one["scores"] = {"metric": "matthews", "test_examples": 50, **about}
        made.append(one)
    points = score_points(load(made))
    assert points["LoRA 1"][0].low == pytest.approx(-0.35)
    found = {row["Arm"]: row for row in rows_of(overview_of(load(made)), "Arm")}
    assert found["LoRA 1"]["minus Full (highest mean)"].startswith("−0.400")


def test_costs_name_their_source(tmp_path: Path) -> None:
    cells = [make_cell(m, length=n, kind="probe") for m in ("full", "lora") for n in (64, 128)]
    cells.append(make_cell("lora", length=256, kind="probe"))
    cells.append(make_cell("full", length=256, kind="probe", status="oom"))
    report = loaded(write_run(tmp_path / "a", cells))
    text = " ".join(captions(memory_by_length(report)))
    assert "probes, 5 steps after one warm-up step, batch size 2" in text
    rows = {(r["Arm"], r["Phase"]): r for r in rows_of(memory_by_length(report), "Phase")}
    assert rows["Full", "Training"]["256 tokens"] == "oom"
    assert rows["LoRA 1", "Training"]["256 tokens"].endswith("GiB")
    rates = {(r["Arm"], r["Phase"]): r for r in rows_of(throughput_by_length(report), "Phase")}
    assert rates["LoRA 1", "Evaluation"]["64 tokens"].count(" to ") == 1
    trained = loaded(write_run(tmp_path / "b", [make_cell()]))
    assert "training runs (no probes)" in " ".join(captions(memory_by_length(trained)))


def test_the_text_for_those_who_see_no_figure(load: Load) -> None:
    cells = [cell("lora", 300, n) for n in (64, 128)]
    cells += [make_cell("full", length=64, seed=s, status="oom") for s in (0, 1)]
    results = load(cells)
    text = values_alt(score_points(results), results, "Accuracy.")
    assert text == (
        "Accuracy. LoRA 1: 0.750 at 64 (1 of 2 seeds), 0.750 at 128 (1 of 2 seeds). Failed: Full "
        "at 64 (oom)."
    )


def test_links_say_whether_there_is_evidence(tmp_path: Path) -> None:
    cells = [make_cell("ssmlora", d) for d in (1.0, 0.25, 0.125)]
    cells.append(make_cell("ssmlora", 0.5, status="oom", model=None))
    rows = rows_of(links(loaded(write_run(tmp_path / "a", cells))), "Links")
    found = {r["Arm"]: (r["Links"], r["Evidence about state passing"]) for r in rows}
    assert found == {
        "SSMLoRA 1": ("10", "yes"), "SSMLoRA 1/4": ("1", "none"), "SSMLoRA 1/8": ("0", "none"),
        "SSMLoRA 1/2": ("", ""),
    }  # fmt: skip


def test_outcomes_are_counted_by_run(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", [make_cell(), make_cell("full", status="oom")], missing=2)
    second = write_run(tmp_path / "b", [make_cell()], name="b")
    rows = rows_of(overview(loaded(first, second)), "Cells ok")
    assert [tuple(row.values())[1:] for row in rows] == [
        ("1", "1 (1 oom)", "2", "", "23 min", "6.1 %"), ("1", "0", "0", "", "23 min", "6.1 %"),
    ]  # fmt: skip
    (second / "manifest.json").write_text('{"runs": [{"wall_s": 1e999}], "ids": "x"}')
    (row,) = rows_of(overview(loaded(second)), "Cells ok")
    assert tuple(row.values())[1:] == ("1", "0", "unknown", "", "", "")
