"""Arms are compared over the seeds that all of them have; who lacks seeds is marked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.arms import arm_tables
from reports.blocks import Picture
from reports.compare import NO_TEXTS
from reports.effective import effective_lengths
from reports.frame import Result
from reports.page import build_report
from reports.sections.accuracy import score_by_length
from reports.sections.evaluations import lm_eval
from reports.sections.overview import incomplete_rows, readme_table, summary_table
from reports.sections.tuning import mean_curves
from reports.stats import best_trial, cost_points, one_rate_per_arm, score_points, trials
from tests.reports.conftest import make_cell, set_validation, write_run
from tests.reports.faces import (
    accuracy_by_density,
    accuracy_by_length,
    accuracy_by_parameters,
    comparison,
    comparisons_of,
    evaluation_points,
    group,
    load_run,
    loaded,
    overview_of,
    position_curves,
    rows_of,
    texts,
)
from tests.reports.made import ARMS, N, arm, evaluated_cell, evaluation, loss_cell
from tests.reports.pages import read, section

Load = Callable[..., list[Result]]
# Seeds are far apart, arms are not: with seed 2 alone SSMLoRA seems .105 ahead, and is .03 ahead.
HALF = [
    *arm("LoRA 1", {0: 140, 1: 143, 2: 164}),
    *arm("SSMLoRA 1", {2: 170}),
]


def difference(results: list[Result], arm: str = "SSMLoRA 1", other: str = "LoRA 1") -> str:
    """The entry of two arms at 128 tokens in the table of differences."""
    (row,) = [r for r in rows_of(overview_of(results), "minus")
              if (r["Arm"], r["minus"]) == (arm, other)]  # fmt: skip
    return row["128 tokens"]


def claims(results: list[Result]) -> str:
    """The verdicts in the overview."""
    found = {c.verdict for c in comparisons_of(group(results))}
    return " ".join(sorted(found))


def sweep(
    folder: Path, cells: list[dict[str, Any]], seeds: str = "[0, 1, 2]", **about: Any
) -> Path:
    run = write_run(folder, cells, **about)
    (run / "sweep.yaml").write_text(f"name: made-up\nseeds: {seeds}\n", encoding="utf-8")
    return run


def test_means_and_differences_are_over_the_common_seed(load: Load) -> None:
    results = load(HALF)
    points = score_points(results)
    assert points["LoRA 1"][0].value == pytest.approx(164 / N)
    assert points["SSMLoRA 1"][0].value == pytest.approx(170 / N)
    assert [p.note for (p,) in points.values()] == ["", "1 of 3 seeds"]
    gap = comparison(group(results), "SSMLoRA 1", "LoRA 1")
    assert gap.value == pytest.approx(0.03)
    assert gap.estimate is not None
    assert (gap.seeds, gap.verdict) == ({2}, "none")


def test_one_seed_of_three_has_no_narrower_interval(load: Load) -> None:
    points = score_points(load(HALF))
    widths = [p.high - p.low for (p,) in points.values()]
    assert widths[0] == pytest.approx(widths[1], rel=0.1)


@pytest.mark.parametrize("lost", ["missing", "oom", "timeout", "error"])
def test_there_is_no_verdict_where_one_arm_lacks_seeds(load: Load, lost: str) -> None:
    rights: dict[int, int | str] = {2: 170}
    if lost != "missing":
        rights |= {0: lost, 1: lost}
    results = load([*arm("LoRA 1", {0: 140, 1: 143, 2: 164}), *arm("SSMLoRA 1", rights)])
    blocks = overview_of(results)
    (row,) = rows_of(blocks, "Has")
    assert (row["Means over seeds"], row["Arm"], row["Has"]) == ("2", "SSMLoRA 1", "1 of 3 seeds")
    found = difference(results)
    assert found.startswith("+0.030")
    why = "1 of 3 seeds" if lost == "missing" else "2 of 3 failed"
    assert found.endswith(f", no verdict (SSMLoRA 1: {why})")
    assert claims(results) == "none"


def test_a_length_at_which_all_arms_have_all_seeds_has_verdicts(load: Load) -> None:
    cells = [c for name in ARMS for c in arm(name, {0: 150, 1: 151, 2: 152}, 64)]
    results = load([*cells, *HALF])
    own = group(results)
    at = {n: comparison(own, "SSMLoRA 1", "LoRA 1", n).verdict for n in (64, 128)}
    assert (at[64] != "none", at[128]) == (True, "none")
    rows = [(r["Length"], r["Means over seeds"], r["Arm"], r["Has"])
            for r in rows_of(overview_of(results), "Has")]  # fmt: skip
    assert ("128", "2", "SSMLoRA 1", "1 of 3 seeds") in rows
    assert ("128", "2", "Full", "not run") in rows


def test_every_table_marks_incomplete_arms(tmp_path: Path) -> None:
    run = sweep(tmp_path / "run", HALF, missing=2)
    ((caption, rows),) = summary_table(run)
    assert "at 128 tokens over seeds 2" in caption
    assert [row["128 tokens"] for row in rows] == ["0.820", "0.850; 1 of 3 seeds"]
    assert "1 of 3 seeds" in readme_table(run)
    root = read(build_report([run], run / "report"))
    for anchor in ("overview", "accuracy", "parameters"):
        text = section(root, anchor).text + str(
            [i.attributes for i in section(root, anchor).all("img")]
        )
        assert "1 of 3 seeds" in text, anchor
    assert (
        "0.745" not in section(root, "overview").all("table")[1].text
    )  # the mean over LoRA's three seeds


def test_planned_seeds_come_from_the_sweep_and_from_every_arm(tmp_path: Path) -> None:
    cells = [*arm("LoRA 1", {0: 140}), *arm("Full", {0: 140})]
    (row, _) = summary_table(sweep(tmp_path / "a", cells))[0][1]
    assert row["128 tokens"] == "0.700; 1 of 3 seeds"
    for k, text in enumerate(("seeds: {", "[1, 2]", "seeds: [a, true, 1.5]", "- " * 5000)):
        run = sweep(tmp_path / f"b{k}", cells)
        (run / "sweep.yaml").write_text(text, encoding="utf-8")
        assert load_run(run).results[0]["planned_seeds"] == {0}


def test_results_without_a_manifest_are_compared_over_common_seeds(tmp_path: Path) -> None:
    run = write_run(tmp_path / "old", HALF)
    (run / "manifest.json").unlink()
    (run / "sweep.yaml").unlink()
    (rows,) = [table.rows for table in arm_tables(loaded(run))]
    assert [row[4].split(" (")[0] for row in rows] == ["0.820", "0.850"]
    assert [("1 of 3 seeds" in row[4]) for row in rows] == [False, True]


def test_arms_without_a_common_seed_are_not_compared(load: Load) -> None:
    results = load([*arm("LoRA 1", {0: 140, 1: 150}), *arm("SSMLoRA 1", {2: 170})])
    assert score_points(results) == {}
    assert difference(results).startswith("not compared (")
    assert {r["Means over seeds"] for r in rows_of(overview_of(results), "Has")} == {
        "no common seed"
    }
    assert claims(results) == "none"


def test_arms_without_a_common_seed_in_the_table(tmp_path: Path) -> None:
    cells = [*arm("LoRA 1", {0: 140, 1: 150}), *arm("SSMLoRA 1", {2: 170})]
    ((_, rows),) = summary_table(write_run(tmp_path / "run", cells))
    assert [row["128 tokens"] for row in rows] == [
        "0.725 (seeds 0 and 1, not compared); 2 of 3 seeds",
        "0.850 (seeds 2, not compared); 1 of 3 seeds",
    ]
    build_report([tmp_path / "run"], tmp_path / "report")


def test_three_arms_of_which_each_pair_shares_another_seed(load: Load) -> None:
    cells = [*arm("LoRA 1", {0: 140, 1: 150}), *arm("SSMLoRA 1", {1: 156, 2: 170})]
    results = load([*cells, *arm("Full", {0: 160, 2: 190})])
    assert score_points(results) == {}
    gap = comparison(group(results), "SSMLoRA 1", "LoRA 1")
    assert gap.value == pytest.approx(0.03)
    assert gap.seeds == {1}
    assert claims(results) == "none"


def test_a_pair_has_its_seeds_where_the_table_shows_others(load: Load) -> None:
    cells = [*arm("LoRA 1", {0: 140, 1: 150, 2: 160}), *arm("SSMLoRA 1", {0: 140, 1: 156, 2: 172})]
    results = load([*cells, *arm("Full", {0: 160})])
    assert {r["Means over seeds"] for r in rows_of(overview_of(results), "Has")} == {"0"}
    gap = comparison(group(results), "SSMLoRA 1", "LoRA 1")
    assert gap.value == pytest.approx(0.03)
    assert (gap.seeds, gap.reason) == ({0, 1, 2}, "")


def test_a_trend_is_over_the_common_seeds_of_its_lengths(load: Load, tmp_path: Path) -> None:
    cells = [*arm("LoRA 1", {0: 100, 1: 130}, 64), *arm("LoRA 1", {1: 136, 2: 190}, 128)]
    found = group(load(cells))
    trend = comparison(found, "LoRA 1")
    assert trend.value == pytest.approx(0.03)
    assert (trend.verdict, effective_lengths(found)) == ("none", {"LoRA 1": None})
    apart = group(load([*arm("LoRA 1", {0: 100}, 64), *arm("LoRA 1", {1: 190}, 128)]))
    assert (comparison(apart, "LoRA 1").value, effective_lengths(apart)) == (None, {"LoRA 1": None})
    blocks = score_by_length(loaded(write_run(tmp_path / "run", cells)))
    (row,) = rows_of(blocks, "Effective length")
    assert row["Effective length"] == "not decided"


def test_the_linear_baseline_takes_no_seed_from_the_arms(load: Load) -> None:
    cells = [*arm("LoRA 1", {0: 140, 1: 150, 2: 160}), make_cell("tfidf", accuracy=0.9, seed=2)]
    results = load(cells)
    points = score_points(results)
    assert list(points) == ["LoRA 1"]
    assert len(points["LoRA 1"][0].seeds) == 3
    gap = comparison(group(results), "LoRA 1", "TF-IDF")
    assert (gap.verdict, gap.reason) == ("none", "TF-IDF: 1 of 3 seeds")
    (row,) = rows_of(overview_of(results), "Has")
    assert (row["Arm"], row["Has"]) == ("TF-IDF", "1 of 3 seeds")


def test_the_untrained_backbone_is_compared_with_every_seed(load: Load) -> None:
    cells = [loss_cell(seed=s, loss=3.3 + 0.01 * s) for s in (0, 1, 2)]
    results = load([*cells, loss_cell("base", loss=3.9)])
    points = score_points(results)
    assert [(len(p.seeds), p.note) for (p,) in points.values()] == [(3, ""), (1, "")]
    gap = comparison(group(results), "LoRA 1", "Base")
    assert gap.verdict == "better"
    assert gap.value == pytest.approx(3.31 - 3.9, abs=1e-6)
    assert difference(results, "LoRA 1", "Base").endswith(", better")
    assert "Seeds: 1." in texts(overview_of(load([loss_cell("base", loss=3.9)])))


def test_a_rate_is_chosen_over_the_seeds_that_all_rates_have(load: Load) -> None:
    cells = []
    outcomes = {1e-3: {0: 0.80, 1: 0.82, 2: 0.90}, 2e-3: {2: 0.88}}  # seed 2 is an easy one
    for lr, found in outcomes.items():
        for seed, value in found.items():
            cells.append(make_cell(lr=lr, seed=seed, accuracy=0.7))
            set_validation(cells[-1], value)
    results = load(cells)
    (rates,) = trials(results).values()
    assert [t.values for t in rates] == [(0.90,), (0.88,)]
    assert [t.left_out for t in rates] == [2, 0]
    assert best_trial(rates).lr == 1e-3
    assert {r["lr"] for r in one_rate_per_arm(results)} == {1e-3}


def test_rates_without_a_common_seed_leave_the_one_with_most_cells(load: Load) -> None:
    cells = [make_cell(lr=1e-3, seed=s) for s in (0, 1)] + [make_cell(lr=2e-3, seed=2)]
    for cell, value in zip(cells, (0.7, 0.7, 0.9), strict=True):
        set_validation(cell, value)
    assert {r["lr"] for r in one_rate_per_arm(load(cells))} == {1e-3}


def test_a_study_shows_validation_over_common_seeds(tmp_path: Path) -> None:
    cells = []
    for method, found in (("full", {0: 0.5, 1: 0.9}), ("lora", {1: 0.8})):
        for seed, value in found.items():
            cells.append(make_cell(method, seed=seed, accuracy=None))
            set_validation(cells[-1], value)
    ((_, rows),) = summary_table(write_run(tmp_path / "run", cells))
    assert [row["128 tokens"] for row in rows] == ["0.900", "0.800; 1 of 2 seeds"]


def test_costs_are_over_common_seeds(load: Load) -> None:
    cells = [
        make_cell(method, seed=seed, cost={"train_tokens_per_s": rate})
        for method, seed, rate in (("full", 0, 900), ("full", 1, 500), ("lora", 1, 600))
    ]
    results = load(cells)
    points = cost_points(results, "train_tokens_per_s")
    assert {arm: p.value for arm, (p,) in points.items()} == {"Full": 500, "LoRA 1": 600}


def test_curves_are_means_over_common_seeds_and_whole_steps(load: Load) -> None:
    def cell(method: str, seed: int, *scores: float) -> dict[str, Any]:
        made = make_cell(method, seed=seed)
        made["curve"] = [
            {"step": k, "examples": 8 * k, "validation_score": score}
            for k, score in enumerate(scores, 1)
        ]
        return made

    full = [cell("full", 0, 0.1, 0.2), cell("full", 1, 0.5, 0.6, 0.7)]
    results = load([*full, cell("lora", 1, 0.4)])
    assert mean_curves(results)["Full", 128] == [(8, 0.5), (16, 0.6), (24, 0.7)]
    assert mean_curves(load(full))["Full", 128] == [(8, 0.3), (16, pytest.approx(0.4))]


def test_losses_by_position_are_means_over_common_seeds(load: Load) -> None:
    cells = [loss_cell(seed=0, loss=3.0), loss_cell(seed=1, loss=4.0)]
    _, curves = position_curves(load([*cells, loss_cell("ssmlora", seed=1, loss=4.0)]))
    own = [b["loss"] for b in cells[1]["scores"]["by_position"]]
    assert [b.loss for b in curves["LoRA 1"]] == pytest.approx(own)


def test_lm_eval_values_are_means_over_common_seeds(load: Load) -> None:
    def cell(method: str, seed: int, value: float | None) -> dict[str, Any]:
        status = "timeout" if value is None else "ok"
        return loss_cell(method, seed=seed, evaluations=[evaluation(value=value, status=status)])

    cells = [cell("lora", 0, 0.1), cell("lora", 1, 0.5), cell("ssmlora", 1, 0.6)]
    cells += [cell("ssmlora", 0, None), evaluated_cell(found=[evaluation(value=0.2)])]
    points = evaluation_points(load(cells))
    told = {arm: (f.text.split(" ")[0], f.note) for (_, _, arm, _), f in points.items()}
    assert told == {
        "LoRA 1": ("0.500", ""), "SSMLoRA 1": ("0.600", "1 of 2 seeds"), "Base": ("0.200", ""),
    }  # fmt: skip


def test_a_figure_of_lm_eval_names_arms_that_lack_seeds(tmp_path: Path) -> None:
    cells = [
        loss_cell(method, length=n, seed=seed, evaluations=[evaluation(value=0.1 + 0.4 * seed)])
        for n in (128, 256)
        for method, seed in (("lora", 0), ("lora", 1), ("ssmlora", 1))
    ]
    blocks = lm_eval(loaded(write_run(tmp_path / "run", cells)))
    (found,) = [block for block in blocks if isinstance(block, Picture)]
    assert "SSMLoRA 1: 0.500 at 128 (1 of 2 seeds)" in found.alt
    assert "LoRA 1: 0.500 at 128, 0.500 at 256" in found.alt


def test_a_map_of_densities_shows_the_seeds_of_the_whole_group(load: Load) -> None:
    cells = [
        make_cell("lora", d, seed=s, accuracy=0.6 + 0.2 * s) for d in (1.0, 0.5) for s in (0, 1)
    ]
    cells += [make_cell("full", seed=1)]

    figure = accuracy_by_density(load(cells))
    shown = {t.get_text() for axes in figure.axes for t in axes.texts if t.get_gid()}
    assert shown == {"0.800"}
    apart = [make_cell("lora", d, seed=s) for d, s in ((1.0, 0), (0.5, 1))]
    figure = accuracy_by_density(load(apart))
    shown = {t.get_text() for axes in figure.axes for t in axes.texts if t.get_gid()}
    assert shown == {"not\ncompared"}


def test_paired_differences_are_over_common_texts(load: Load) -> None:
    first, second = make_cell("lora"), make_cell("ssmlora")
    for cell, right in ((first, [1] * 95 + [0] * 5), (second, [1] * 90 + [0] * 10)):
        cell["predictions"] = {
            "ids": [f"t{i}" for i in range(100)], "labels": [1] * 100, "predicted": right,
        }  # fmt: skip
    second["predictions"] = {k: v[4:] for k, v in second["predictions"].items()}
    gap = comparison(group(load([first, second])), "SSMLoRA 1", "LoRA 1")
    assert gap.estimate is not None
    assert gap.estimate.texts == 96
    assert gap.value == pytest.approx(86 / 96 - 91 / 96)


def test_seeds_that_read_other_texts_have_no_verdict(load: Load) -> None:
    cells = []
    for method, more in (("lora", 0), ("ssmlora", 10)):
        for seed in (0, 1, 2):
            cell = make_cell(method, seed=seed, correct=[i < 70 + more for i in range(100)])
            cell["predictions"]["ids"] = [f"{seed}-{i}" for i in range(100)]
            cells.append(cell)
    gap = comparison(group(load(cells)), "SSMLoRA 1", "LoRA 1")
    assert (gap.estimate, gap.verdict, gap.reason) == (None, "none", NO_TEXTS)
    assert gap.value == pytest.approx(0.1)


def test_a_manifest_of_a_run_under_way_is_read(tmp_path: Path) -> None:
    run = sweep(tmp_path / "run", HALF)
    about = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(about | {"ids": about["ids"][:1]}))
    results = load_run(run).results
    assert {r["planned_seeds"] for r in results} == {frozenset({0, 1, 2})}


def test_a_reference_has_no_curve_that_could_be_missing(load: Load) -> None:
    cells = [*arm("LoRA 1", {0: 140, 1: 143}), *arm("SSMLoRA 1", {0: 140, 1: 150})]
    cells += [make_cell("tfidf", None, 128, seed=seed) for seed in (0, 1)]
    results = load(cells)
    assert incomplete_rows(results, lambda cell: cell["method"] != "tfidf") == []
    rows = incomplete_rows(load(cells[1:]), lambda cell: cell["method"] != "tfidf")
    assert [row[2] for row in rows] == ["LoRA 1"]


def test_a_legend_marks_an_incomplete_arm(load: Load) -> None:
    for draw in (accuracy_by_length, accuracy_by_parameters):
        (legend,) = draw(load(HALF)).legends
        assert "SSMLoRA 1, 1 of 3 seeds" in [text.get_text() for text in legend.get_texts()]
        assert "LoRA 1" in [text.get_text() for text in legend.get_texts()]
    results = load([*HALF, *arm("SSMLoRA 1", {0: 150, 1: 150, 2: 150}, length=256)])
    (legend,) = accuracy_by_length(results).legends
    assert "SSMLoRA 1, incomplete" in [text.get_text() for text in legend.get_texts()]
