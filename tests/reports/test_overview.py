"""The overview: every number and every verdict in its tables follows from the cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.blocks import Answer, Table, Text
from reports.compare import NO_TEXTS
from reports.frame import Result
from reports.sections.accuracy import interval_caption, score_by_length, values_alt
from reports.sections.answers import first_screen
from reports.sections.cost import memory_by_length
from reports.sections.overview import answers, overview
from reports.sections.size import links, score_by_parameters
from reports.sections.throughput import throughput_by_length
from reports.sections.tuning import curves, learning_rates
from reports.stats import score_points
from tests.reports.conftest import make_cell, set_validation, tuning_cells, wilson, write_run
from tests.reports.faces import group, loaded, overview_of, rows_of, texts
from tests.reports.pages import captions

Load = Callable[..., list[Result]]


def cell(method: str, right: int, length: int = 128, n: int = 400, **more: Any) -> dict[str, Any]:
    """A cell with the first `right` of `n` answers correct, so that arms agree on most texts."""
    density = more.pop("density", 1.0)
    return make_cell(
        method, density, length, accuracy=right / n, correct=[i < right for i in range(n)], **more
    )


def seeds(method: str, right: int, length: int = 128, **more: Any) -> list[dict[str, Any]]:
    """Three seeds of an arm."""
    return [cell(method, right + (seed == 1), length, seed=seed, **more) for seed in range(3)]


def differences(load: Load, *cells: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    """The table of differences, by pair of arms."""
    found = rows_of(overview_of(load(cells)), "minus")
    return {(row["Arm"], row["minus"]): row for row in found}


def test_the_overview_begins_with_the_answers(tmp_path: Path) -> None:
    made = [*seeds("full", 360), *seeds("lora", 357, 128), *seeds("lora", 250, 64)]
    made += [c for n in (64, 128) for c in seeds("head", 250, n, density=None)]
    folder = write_run(tmp_path / "a", made)
    screen = {
        b.question: b.statements for b in first_screen(loaded(folder)) if isinstance(b, Answer)
    }
    (gain,), (trend,) = screen["Did adaptation help?"], screen["Does length help?"]
    reference, certainty, table, *_ = overview(loaded(folder))
    assert gain.text.startswith("Adaptation gained over the control (Head only). Better: Full at")
    assert trend.text.startswith("Accuracy from 64 to 128 tokens. Rises: LoRA 1.")
    assert isinstance(reference, Text)
    assert "Against LoRA at the same sites" in reference.text
    assert isinstance(certainty, Text)
    assert "comparisons in one family" in certainty.text
    assert isinstance(table, Table)
    assert answers(folder) == [gain.text, trend.text, reference.text, certainty.text]
    assert "highest" not in str(overview(loaded(folder)))


def test_intervals_are_those_of_the_result_files(load: Load, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", [cell("full", 360)])
    low, high = wilson(0.9, 400)
    (row,) = rows_of(overview(loaded(folder)), "128 tokens")
    assert row["128 tokens"] == f"0.900 ({low:.3f} to {high:.3f})"


def test_every_length_is_compared_and_failures_are_counted(load: Load) -> None:
    made = [c for n in (64, 128) for m in ("full", "lora") for c in seeds(m, 300, n)]
    made += seeds("lora", 390, 256)
    made += [make_cell("full", length=256, status="oom", seed=s) for s in range(3)]
    row = differences(load, *made)["Full", "LoRA 1"]
    assert row["64 tokens"].startswith("+0.000 (")
    assert row["256 tokens"] == "not compared (Full: 3 of 3 failed)"


def test_one_arm_is_compared_with_nothing(load: Load) -> None:
    assert captions(overview_of(load([cell("lora", 320)]))) == []


def test_the_linear_baseline_is_compared_without_a_verdict(load: Load) -> None:
    made = [*seeds("full", 380), *seeds("lora", 381), *seeds("tfidf", 250, density=None)]
    found = differences(load, *made)
    assert list(found) == [("Full", "LoRA 1"), ("Full", "TF-IDF"), ("LoRA 1", "TF-IDF")]
    assert re.fullmatch(r"\+0.325 \(\+0.\d+ to \+0.\d+\)", found["Full", "TF-IDF"]["128 tokens"])
    text = texts(overview_of(load(made)))
    assert "1 comparison in one family" in text


def test_the_state_is_judged_on_the_same_sites(load: Load) -> None:
    made = [*seeds("lora", 320), *seeds("ssmlora", 260), *seeds("lora", 240, density=0.5)]
    row = differences(load, *made)["SSMLoRA 1", "LoRA 1"]["128 tokens"]
    assert row.startswith("−0.150 (")
    assert row.endswith(", worse")
    sparse = [*seeds("ssmlora", 322, density=0.5), *seeds("lora", 240, density=0.5)]
    assert ("SSMLoRA 1/2", "LoRA 1/2") in differences(load, *made, *sparse)
    for one in sparse[3:]:
        one["cell"]["placement"] = "first"
    assert ("SSMLoRA 1/2", "LoRA 1") in differences(load, *made[:3], *sparse)


def test_seeds_and_test_texts_are_noted(load: Load) -> None:
    one = texts(overview_of(load([cell("lora", 300)])))
    assert "leave out seed variance" in one
    three = [cell("lora", 300 + s, seed=s) for s in range(3)]
    assert "leave out seed variance" not in texts(overview_of(load(three)))
    assert "No test text was read" in texts(overview_of(load([make_cell(accuracy=None)])))


def test_a_finished_study_without_test_texts_lacks_no_seed(load: Load) -> None:
    cells = tuning_cells()
    tables = [b for b in overview_of(load(cells)) if isinstance(b, Table)]
    assert not any("without all seeds" in table.caption for table in tables)
    fewer = [c for c in cells if (c["arm"], c["cell"]["seed"]) != ("LoRA 1", 1)]
    tables = [b for b in overview_of(load(fewer)) if isinstance(b, Table)]
    assert any("without all seeds" in table.caption for table in tables)


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
        one = make_cell(method, predictions=None)
        about = {"score": value, "score_low": value - 0.05, "score_high": value + 0.05}
        one["scores"] = {"metric": "micro_f1", "test_examples": 50, **about}
        made.append(one)
    results = load(made)
    (row,) = rows_of(overview_of(results), "minus")
    assert row["128 tokens"] == f"+0.300, no verdict ({NO_TEXTS})"
    assert "bootstrap" in interval_caption(group(results))


def test_negative_scores_are_compared(load: Load) -> None:
    made = []
    for method, value in (("full", 0.1), ("lora", -0.3)):
        one = make_cell(method, predictions=None)
        about = {"score": value, "score_low": value - 0.05, "score_high": value + 0.05}
        one["scores"] = {"metric": "matthews", "test_examples": 50, **about}
        made.append(one)
    points = score_points(load(made))
    assert points["LoRA 1"][0].low == pytest.approx(-0.35)
    (row,) = rows_of(overview_of(load(made)), "minus")
    assert row["128 tokens"].startswith("+0.400")


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
