"""Declared comparisons and their verdicts, from result files."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.metrics import METRICS
from reports.compare import FEW_SEEDS, NO_TEXTS, compared, declared
from reports.effective import effective_lengths
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.sections.comparisons import gap_text, notes, statements
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import comparison, comparisons_of, group, loaded
from tests.reports.made import loss_cell

Load = Callable[..., list[Result]]
N = 400


def cells(
    method: str,
    right: int,
    length: int = 128,
    density: float | None = 1.0,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    **more: Any,
) -> list[dict[str, Any]]:
    """Cells of an arm with about `right` of 400 answers correct; arms agree on most texts."""
    found = []
    for seed in seeds:
        noise = random.Random(f"{method} {density} {length} {seed} {more}")
        count = right + noise.randint(-1, 1)
        correct = [i < count for i in range(N)]
        for _ in range(2):
            k = noise.randrange(N)
            correct[k] = not correct[k]
        found.append(
            make_cell(method, density, length, seed=seed, accuracy=0.5, correct=correct, **more)
        )
    return found


def with_options(made: list[dict[str, Any]], name: str, **options: Any) -> list[dict[str, Any]]:
    for cell in made:
        cell["arm"], cell["id"] = name, sha256((name + cell["id"]).encode()).hexdigest()[:12]
        cell["cell"]["options"] = options
    return made


def pairs(found: Group, role: str) -> list[tuple[str, str]]:
    return list(dict.fromkeys((c.arm, c.other) for c in declared(found) if c.role == role))


def test_arms_are_compared_with_the_control_and_with_lora_at_the_same_sites(load: Load) -> None:
    made = [*cells("full", 330), *cells("lora", 330), *cells("lora", 330, density=0.5)]
    made += [*cells("ssmlora", 330, density=0.5), *cells("ssmlora", 330, density=0.25)]
    found = group(load([*made, *cells("head", 300, density=None), *cells("tfidf", 250)]))
    arms = ["Full", "LoRA 1", "LoRA 1/2", "SSMLoRA 1/2", "SSMLoRA 1/4"]
    assert pairs(found, "control") == [(arm, "Head only") for arm in arms]
    assert pairs(found, "baseline") == [(arm, "TF-IDF") for arm in arms]
    assert pairs(found, "reference") == [
        ("Full", "LoRA 1"), ("LoRA 1/2", "LoRA 1"), ("SSMLoRA 1/2", "LoRA 1/2"),
        ("SSMLoRA 1/4", "LoRA 1"),
    ]  # fmt: skip
    assert pairs(found, "trend") == []


def test_the_zero_shot_backbone_is_the_control_of_language_models(load: Load) -> None:
    made = [loss_cell(m, length=n, seed=s) for m in ("lora", "full") for n in (64, 128)
            for s in range(3)]  # fmt: skip
    made += [loss_cell("base", length=n) for n in (64, 128)]
    found = group(load(made))
    assert pairs(found, "control") == [("Full", "Base"), ("LoRA 1", "Base")]
    assert [arm for arm, _ in pairs(found, "trend")] == ["Full", "LoRA 1", "Base"]
    one = comparison(found, "LoRA 1", "Base", 64)
    assert (one.verdict, len(one.seeds)) == ("better", 3)
    assert one.value is not None
    assert one.value < 0
    assert gap_text(one).endswith(", better")
    assert gap_text(comparison(found, "LoRA 1")).endswith(", falls (better)")


def test_the_state_of_ssmlora_has_controls_of_its_mechanism(load: Load) -> None:
    own = cells("ssmlora", 330)
    cut = with_options(cells("ssmlora", 330), "SSMLoRA 1 link_state=False", link_state=False)
    bias = with_options(cells("lora", 330), "LoRA 1 bias=lora_only", bias="lora_only")
    wide = with_options(cells("lora", 330), "LoRA 1 r9")
    for cell in wide:
        cell["cell"]["rank"] = 9
    found = group(load([*cells("lora", 330), *own, *cut, *bias, *wide]))
    assert pairs(found, "mechanism") == [
        ("SSMLoRA 1", other)
        for other in ("SSMLoRA 1 link_state=False", "LoRA 1 bias=lora_only", "LoRA 1 r9")
    ]
    assert ("SSMLoRA 1", "LoRA 1") in pairs(found, "reference")
    assert ("SSMLoRA 1 link_state=False", "LoRA 1") in pairs(found, "reference")


def test_a_state_over_tokens_has_a_control_without_it(load: Load) -> None:
    own = cells("hrm", 330)
    cut = with_options(cells("hrm", 330), "HRM 1 memory=False", memory=False)
    found = group(load([*cells("lora", 330), *own, *cut]))
    assert pairs(found, "mechanism") == [("HRM 1", "HRM 1 memory=False")]


def sweep(folder: Path, made: list[dict[str, Any]], about: str, name: str = "a") -> Path:
    run = write_run(folder, made, name=name)
    (run / "sweep.yaml").write_text(f"name: {name}\n{about}\n", encoding="utf-8")
    return run


@pytest.mark.parametrize("name", ["full", "Full"])
def test_a_sweep_names_reference_and_margin(tmp_path: Path, name: str) -> None:
    made = [*cells("full", 330), *cells("lora", 330), *cells("ssmlora", 330)]
    run = sweep(tmp_path, made, f"comparisons: {{reference: {name}, margin: 0.1}}")
    (found,) = loaded(run).training
    assert pairs(found, "reference") == [("LoRA 1", "Full"), ("SSMLoRA 1", "Full")]
    one = comparison(found, "LoRA 1", "Full", 128)
    assert (one.margin, one.verdict) == (0.1, "comparable")
    for broken in ("comparisons: [", "comparisons: {margin: -1}", "comparisons: 3"):
        sweep(tmp_path, made, broken)
        assert comparison(loaded(run).training[0], "Full", "LoRA 1", 128).margin == 0.02


def test_of_several_margins_the_smallest_counts(tmp_path: Path) -> None:
    one = sweep(tmp_path / "a", cells("lora", 330), "comparisons: {margin: 0.1}")
    two = sweep(tmp_path / "b", cells("full", 330), "comparisons: {margin: 0.05}", "b")
    report = loaded(one, two)
    assert comparison(report.training[0], "Full", "LoRA 1", 128).margin == 0.05
    (note,) = notes(report.training)
    assert "0.05 and 0.1; the smallest counts" in note.text  # type: ignore[union-attr]


def test_verdicts(load: Load) -> None:
    made = [*cells("lora", 330), *cells("full", 331), *cells("ssmlora", 250)]
    found = group(load([*made, *cells("head", 300, density=None)]))
    verdicts = {(c.about.arm, c.about.other): c.verdict for c in comparisons_of(found)}
    assert verdicts["Full", "LoRA 1"] == "comparable"
    assert verdicts["SSMLoRA 1", "LoRA 1"] == "worse"
    assert verdicts["LoRA 1", "Head only"] == "better"
    text = list(statements(found, comparisons_of(found), 5).values())
    assert text[0].startswith(
        "Adaptation gained over the control (Head only) at 128 tokens. Better: Full; LoRA 1."
    )
    assert "Worse: SSMLoRA 1." in text[0]
    assert "Comparable: Full." in text[2 - (not pairs(found, "trend"))]
    assert "5 comparisons in one family" in text[-1]


def test_one_length_is_named_once_and_several_for_each_arm(load: Load) -> None:
    made = [*cells("lora", 330), *cells("full", 331), *cells("head", 331, density=None)]
    one = group(load(made))
    text = statements(one, comparisons_of(one), 3)
    assert " ".join(text.values()).count("128") == 1
    assert "better than the control (Head only) at 128 tokens. " in text["gain"]
    two = group(load([*made, *(cell for cell in cells("lora", 330, 64))]))
    text = statements(two, comparisons_of(two), 3)
    assert "(Head only) at any length. " in text["gain"]
    assert "Full at 128" in text["gain"]
    assert "Full at 128" in text["reference"]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_fewer_than_three_seeds_have_an_interval_and_no_verdict(
    load: Load, seeds: tuple[int, ...]
) -> None:
    made = [*cells("lora", 330, seeds=seeds), *cells("full", 100, seeds=seeds)]
    made += [*cells("head", 100, density=None, seeds=seeds), *cells("lora", 100, 64, seeds=seeds)]
    found = group(load(made))
    for one in comparisons_of(found):
        assert (one.verdict, one.reason) == ("none", FEW_SEEDS)
        assert one.interval is not None
        assert one.interval[0] < one.interval[1]
    text = " ".join(statements(found, comparisons_of(found), 0).values())
    assert "No verdict on a gain over the control" in text
    for word in ("etter", "orse", "omparable", "rises", "not decided", "family"):
        assert word not in text
    assert set(effective_lengths(found).values()) == {None}


def test_no_control_is_said(load: Load) -> None:
    found = group(load(cells("lora", 330)))
    assert "there is no control" in statements(found, comparisons_of(found), 0)["gain"]


def test_all_groups_are_one_family(tmp_path: Path) -> None:
    def made(task: str, gap: int) -> list[dict[str, Any]]:
        return [*cells("lora", 330, task=task), *cells("full", 330 + gap, task=task)]

    alone = loaded(write_run(tmp_path / "a", made("one", 7)))
    many = [c for k in range(20) for c in made(f"task{k}", 0)]
    beside = loaded(write_run(tmp_path / "b", [*made("one", 7), *many]))

    def verdict(report: Report) -> str:
        (own,) = [found for key, found in report.comparisons.items() if key.task == "one"]
        return own[0].verdict

    assert (alone.family, verdict(alone)) == (1, "better")
    assert (beside.family, verdict(beside)) == (21, "undecided")


@pytest.mark.parametrize("metric", ["macro_f1", "matthews", "micro_f1", "spearman"])
def test_scores_that_are_no_means_are_compared_by_text(load: Load, metric: str) -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 200)
    values = {}
    made = []
    for method, wrong in (("lora", 0.1), ("full", 0.5)):
        for seed in range(3):
            said = np.where(draw.random(200) < wrong, draw.integers(0, 3, 200), labels)
            lists = [[int(v)] for v in said], [[int(v)] for v in labels]
            pair = lists if metric == "micro_f1" else (said.tolist(), labels.tolist())
            score = METRICS[metric].score(*([tuple(v) if isinstance(v, list) else v for v in side]
                                            for side in pair))  # fmt: skip
            cell = make_cell(method, seed=seed)
            cell["scores"] = {"metric": metric, "score": score, "test_examples": 200}
            cell["predictions"] = {
                "ids": [f"t{i}" for i in range(200)], "labels": pair[1], "predicted": pair[0],
            }  # fmt: skip
            values[method, seed] = score
            made.append(cell)
    one = comparison(group(load(made)), "Full", "LoRA 1", 128)
    gap = sum(values["full", s] - values["lora", s] for s in range(3)) / 3
    assert one.value == pytest.approx(gap)
    assert one.verdict == "worse"
    assert one.interval is not None
    assert 0.02 < one.interval[1] - one.interval[0] < 0.5


def test_without_answers_there_is_a_difference_and_no_verdict(load: Load) -> None:
    made = [*cells("lora", 330), *cells("full", 200)]
    for cell in made:
        cell["scores"]["score"] = sum(cell["predictions"]["predicted"]) / N
        cell["predictions"] = None
    one = comparison(group(load(made)), "Full", "LoRA 1", 128)
    assert (one.verdict, one.reason, one.interval) == ("none", NO_TEXTS, None)
    assert one.value == pytest.approx(-130 / N, abs=0.02)


def grown(load: Load, *rights: int) -> Group:
    lengths = [64 * 2**k for k in range(len(rights))]
    return group(
        load(c for n, right in zip(lengths, rights, strict=True) for c in cells("lora", right, n))
    )


@pytest.mark.parametrize(
    ("rights", "verdict", "length"),
    [
        ((240, 300, 340, 341), "better", 256),
        ((240, 300, 360), "better", 256),
        ((340, 300, 240), "worse", 64),
        ((300, 301, 300), "comparable", 64),
    ],
)
def test_trend_and_effective_length(
    load: Load, rights: tuple[int, ...], verdict: str, length: int
) -> None:
    found = grown(load, *rights)
    assert comparison(found, "LoRA 1").verdict == verdict
    assert effective_lengths(found) == {"LoRA 1": length}


def test_a_short_length_behind_a_worse_one_is_not_sufficient(load: Load) -> None:
    assert effective_lengths(grown(load, 340, 240, 340, 340)) == {"LoRA 1": 256}


def test_one_length_has_no_trend(load: Load) -> None:
    found = grown(load, 300)
    assert [one for one in compared([found])[0] if not one.about.other] == []
    assert effective_lengths(found) == {}


def test_the_power_line_names_what_resolves_the_margin(load: Load) -> None:
    found = group(load([*cells("lora", 330), *cells("full", 331)]))
    text = list(statements(found, comparisons_of(found), 1).values())[-1]
    assert "which resolves the margin" in text
    few = group(load([*cells("lora", 330, seeds=(0, 1, 2)), *cells("full", 331, seeds=(0, 1, 2))]))
    wide = list(statements(few, comparisons_of(few), 60).values())[-1]
    assert "seeds would resolve the margin" in wide
