"""Tasks of lm-eval: values and failures in table and figures; a run of nothing else; generation."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import stdtrit
from scipy.stats import ttest_rel

from reports.frame import Result
from reports.groups import evaluation_groups
from reports.sections.evaluations import lm_eval
from reports.sections.overview import summary_table
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import (
    accuracy_by_length,
    comparison,
    evaluation_by_length,
    evaluation_points,
    group,
    load_run,
    loaded,
    overview_of,
    tables,
    texts,
)
from tests.reports.made import evaluated_cell, evaluation, evaluation_cells, text_cell
from tests.reports.pages import anchors, captions, check_harmless, report, rows, section

pytestmark = pytest.mark.filterwarnings("error")

Load = Callable[..., list[Result]]


def test_a_run_of_evaluations_alone_makes_a_whole_report(tmp_path: Path) -> None:
    root = report(tmp_path, evaluation_cells())
    check_harmless(root)
    assert anchors(root) == ["answers", "overview", "lm-eval", "failures", "cells", "how"]
    glance, outcomes = section(root, "overview").all("table")
    assert rows(outcomes)[1][1:5] == ["3", "0", "0", "5 of 6"]
    assert rows(glance)[1:] == [
        ["Base", "niah_single_1", "exact match", "0.920 ± 0.030", "0.750 ± 0.030", "0.580 ± 0.030"],
        ["Base", "ruler_vt", "exact match", "0.310 ± 0.050", "0.310 ± 0.050", "timeout"],
    ]
    (table,) = section(root, "lm-eval").all("table")
    found = [dict(zip(rows(table)[0], row, strict=True)) for row in rows(table)[1:]]
    assert len(found) == 6
    assert found[0] == {
        "Task": "niah_single_1", "Metric": "exact match", "Arm": "Base", "Length": "128",
        "Value": "0.920 ± 0.030", "Examples": "100", "Status": "ok", "Message": "",
        "Seed": "0",
    }  # fmt: skip
    assert (found[-1]["Status"], found[-1]["Message"]) == ("timeout", "no answer within 300 s")
    assert (found[-1]["Value"], found[-1]["Length"]) == ("", "512")
    names = sorted(p.name for p in (tmp_path / "report").glob("*.png"))
    assert names == ["lm-eval-niah-single-1.png", "lm-eval-ruler-vt.png"]
    alts = [image.attributes["alt"] for image in section(root, "lm-eval").all("img")]
    assert "exact match, Base: 0.920 at 128, 0.750 at 256, 0.580 at 512" in alts[0]
    assert "Failed: Base at 512 (timeout)" in alts[1]
    assert [name for name, _ in summary_table(tmp_path)] == [
        "minilm: tasks of lm-eval by length (± standard error)"
    ]


def test_the_figure_of_a_task_marks_its_failures(load: Load) -> None:
    figure = evaluation_by_length("ruler_vt")(load(evaluation_cells()))
    axes, strip = figure.axes
    assert axes.get_ylabel() == "Exact match"
    assert strip.get_xlabel() == "Length (tokens)"
    (line,) = [a for a in axes.lines if a.get_gid() == "arm:Base"]
    assert list(line.get_ydata()) == [0.31, 0.31]
    assert [a.get_gid() for a in strip.lines] == ["failure:Base:512:timeout"]
    low, high = axes.get_ylim()
    assert low <= 0 < 0.31 + 1.96 * 0.05 < high


def test_arms_stand_beside_the_untrained_backbone(tmp_path: Path) -> None:
    cells = [evaluated_cell(n, [evaluation(value=0.2)]) for n in (64, 128)]
    for method in ("lora", "ssmlora"):
        for n in (64, 128):
            cells.append(make_cell(method, length=n, evaluations=[evaluation(value=0.6)]))
    cells += [make_cell("full", length=64, status="oom"), evaluated_cell(256, status="error")]
    cells[-1]["evaluations"] = []
    folder = write_run(tmp_path, cells)
    (group,) = evaluation_groups([load_run(folder)])
    points = evaluation_points(group.results)
    arms = list(dict.fromkeys(arm for _, _, arm, _ in points))
    assert arms == ["LoRA 1", "SSMLoRA 1", "Base"]
    figure = evaluation_by_length("niah_single_1")(group.results)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == arms
    assert [a.get_gid() for a in figure.axes[1].lines] == ["failure:Base:256:error"]
    (table,) = tables(lm_eval(loaded(folder)))
    assert table.rows[-1][:2] == ["all", ""]
    assert table.rows[-1][6] == "error"
    root = report(tmp_path, cells)
    captions = [p.text.split(":")[0] for p in section(root, "overview").all("p")]
    assert "newsgroups, minilm" in captions
    assert "lm_eval" not in section(root, "accuracy").text


def test_one_length_has_no_figure(tmp_path: Path) -> None:
    root = report(tmp_path, [evaluated_cell()])
    assert section(root, "lm-eval").all("img") == []
    assert len(section(root, "lm-eval").all("table")) == 1


def test_tasks_whose_names_differ_in_signs_have_pictures_of_their_own(tmp_path: Path) -> None:
    names = ["a_b", "a-b", "A/../b"]
    found = [evaluation(name) for name in names]
    report(tmp_path, [evaluated_cell(n, found) for n in (64, 128)])
    pictures = sorted(p.name for p in (tmp_path / "report").glob("*.png"))
    assert pictures == ["lm-eval-a-b-x-x.png", "lm-eval-a-b-x.png", "lm-eval-a-b.png"]


@pytest.mark.parametrize("value", [-1, -1.0, None, math.nan, math.inf])
def test_what_lm_eval_did_not_measure_is_never_a_value(load: Load, value: Any) -> None:
    (result,) = load([evaluated_cell(found=[evaluation() | {"value": value}])])
    (found,) = result["evaluations"]
    assert (found.value, found.stderr, found.status) == (None, None, "error")
    assert found.message == "nothing was measured"


@pytest.mark.parametrize(
    "entries",
    [
        3, {"task": "x"}, ["x"], [{}], [evaluation(task=["x"])], [evaluation(status="fine")],
        [evaluation(status=["ok"])], [evaluation(value="0.5")], [evaluation(examples="many")],
        [evaluation(stderr=-1)],
    ],
)  # fmt: skip
def test_evaluations_of_another_form_are_refused(tmp_path: Path, entries: Any) -> None:
    run = load_run(write_run(tmp_path, [evaluated_cell() | {"evaluations": entries}]))
    assert run.results == []
    assert "evaluation" in run.unreadable[0][1]


def test_odd_details_of_an_evaluation_are_left_out(load: Load) -> None:
    odd = evaluation(stderr=math.nan, examples=None, message=None, version={"a": 1}, metric=None)
    (result,) = load([evaluated_cell(found=[odd])])
    (found,) = result["evaluations"]
    assert (found.value, found.stderr, found.examples) == (0.5, None, None)
    assert (found.metric, found.message) == ("", "")


def test_values_that_span_far_get_a_logarithmic_axis(load: Load) -> None:
    cells = [
        evaluated_cell(n, [evaluation("wikitext", v, metric="perplexity", higher_is_better=False)])
        for n, v in ((64, 2000.0), (128, 20.0))
    ]
    axes = evaluation_by_length("wikitext")(load(cells)).axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "Perplexity"


def test_written_texts_are_paired_by_their_scores(load: Load) -> None:
    draw = np.random.default_rng(1)
    a = np.clip(0.5 + 0.2 * draw.normal(size=80), 0, 1)
    b = np.clip(a - 0.02 + 0.01 * draw.normal(size=80), 0, 1)
    first, second = load([text_cell("full", texts=a.tolist()), text_cell("lora", texts=b.tolist())])
    interval = ttest_rel(a, b).confidence_interval(0.95)
    found = comparison(group([first, second]), "Full", "LoRA 1").interval
    assert found == pytest.approx((interval.low, interval.high))


def test_an_exact_match_is_right_or_wrong(load: Load) -> None:
    right = [[1.0] * 70 + [0.0] * 30, [1.0] * 60 + [0.0] * 40]
    cells = [
        text_cell(m, metric="exact_match", texts=t)
        for m, t in zip(("full", "lora"), right, strict=True)
    ]
    first, second = load(cells)
    found = comparison(group([first, second]), "Full", "LoRA 1").interval
    assert found is not None
    p, q = 11 / 102, 1 / 102  # Bonett and Price: one text more is counted each way
    half = stdtrit(99, 0.975) * math.sqrt((p + q - (p - q) ** 2) / 102)
    assert (found[1] - found[0]) / 2 == pytest.approx(half, rel=0.01)


def test_generation_is_called_by_its_names(tmp_path: Path, load: Load) -> None:
    cells = [text_cell(m, n) for m in ("full", "lora", "base") for n in (64, 128)]
    blocks = overview_of(load(cells))
    assert "n = 150 test texts" in texts(blocks)
    assert any("Differences of test ROUGE-L" in text for text in captions(blocks))
    assert accuracy_by_length(load(cells)).axes[0].get_ylabel() == "Test ROUGE-L"
    root = report(tmp_path, cells)
    check_harmless(root)
    assert "ROUGE-L by sequence length" in section(root, "accuracy").text
    assert "bootstrap intervals" in section(root, "accuracy").text
    assert {"ROUGE-L", "Exact match"} <= {*rows(section(root, "cells").all("table")[0])[0]}
    exact = load([text_cell(n, metric="exact_match") for n in ("full", "lora")])
    assert any("test exact match" in text for text in captions(overview_of(exact)))
