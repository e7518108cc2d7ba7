"""Results of several folders: what is joined, what stays apart and why, what counts once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reports.compare import OTHER_TEXTS, declared
from reports.frame import Run, load_results
from reports.frame import runs_of as runs_in
from reports.groups import Group, cost_groups, costs_of, evaluation_groups, training_groups
from reports.joining import UNKNOWN
from reports.sections.runs import not_joined
from reports.stats import score_points
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import accuracy_by_length, comparisons_of, load_run
from tests.reports.made import evaluation

Change = dict[str, Any]


def cell(length: int = 64, method: str = "lora", **more: Any) -> dict[str, Any]:
    """A cell with all that joining asks for; `cell` and other sections are merged. The id is a
    hash of what was asked, as that of real ones."""
    asked = {"revisions": {"task": "1.16", "backbone": "b1"}, **more.pop("cell", {})}
    asked.setdefault("target", None if method == "tfidf" else "attention")
    made = make_cell(method, 1.0, length, **{"protocol": 5, **more}, cell=asked)
    told = repr((sorted(made["cell"].items(), key=str), made["protocol"]))
    made["id"] = hashlib.sha256(told.encode()).hexdigest()[:12]
    return made


def runs_of(tmp_path: Path, *parts: Sequence[dict[str, Any]], **more: Any) -> list[Run]:
    folders = [
        write_run(tmp_path / f"f{k}", cells, name="abcdef"[k], **more)
        for k, cells in enumerate(parts)
    ]
    return runs_in(load_results(*folders))


def values(group: Group) -> dict[str, dict[int, float]]:
    points = score_points(group.results)
    return {arm: {p.length: p.value for p in series} for arm, series in points.items()}


def test_two_folders_make_one_curve(tmp_path: Path) -> None:
    a = [cell(n, m, accuracy=0.7) for n in (64, 128) for m in ("lora", "tfidf")]
    b = [cell(n, m, accuracy=0.8) for n in (256,) for m in ("lora", "tfidf", "ssmlora")]
    runs = runs_of(tmp_path, a, b)
    (group,) = training_groups(runs)
    assert group.runs == ("a", "b")
    assert (group.title, group.suffix) == ("", "")
    assert values(group) == {
        "LoRA 1": {64: 0.7, 128: 0.7, 256: 0.8}, "SSMLoRA 1": {256: 0.8},
        "TF-IDF": {64: 0.7, 128: 0.7, 256: 0.8},
    }  # fmt: skip
    assert not_joined([group], "scores") == []


def test_seeds_of_two_folders_are_seeds_of_one_arm(tmp_path: Path) -> None:
    parts = [[cell(seed=s, accuracy=0.6 + 0.1 * s)] for s in (0, 1, 2)]
    (group,) = training_groups(runs_of(tmp_path, *parts))
    (point,) = score_points(group.results)["LoRA 1"]
    assert sorted(point.seeds) == pytest.approx([0.6, 0.7, 0.8])


APART: dict[str, tuple[Change, Change, str]] = {
    "data version": (
        {"data": {"task_revision": "1.16"}}, {"data": {"task_revision": "1.17"}}, "1.17",
    ),
    "version of the weights": (
        {}, {"cell": {"revisions": {"task": "1.16", "backbone": "b2"}}}, "b2",
    ),
    "backbone": ({}, {"cell": {"backbone": "bert"}}, "bert"),
    "number format": ({}, {"cell": {"dtype": "float32"}}, "float32"),
    "protocol version": ({"protocol": 5}, {"protocol": 6}, "6"),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_scores_stay_apart_and_the_reason_is_named(tmp_path: Path, name: str) -> None:
    first, second, value = APART[name]
    runs = runs_of(tmp_path, [cell(64, **first)], [cell(128, **second)])
    groups = training_groups(runs)
    assert [g.runs for g in groups] == [("a",), ("b",)]
    assert len({g.suffix for g in groups}) == 2
    ((_, _, reason),) = not_joined(groups, "scores")
    assert f"{name} differs" in reason
    assert reason.count("differs") == 1
    assert f"{value}: b" in reason


def test_files_without_a_protocol_version_join_with_their_like_only(tmp_path: Path) -> None:
    old = [[cell(n, protocol=None)] for n in (64, 128)]
    groups = training_groups(runs_of(tmp_path, *old, [cell(256, protocol=5)]))
    assert [g.runs for g in groups] == [("a", "b"), ("c",)]
    ((_, _, reason),) = not_joined(groups, "scores")
    assert f"{UNKNOWN}: a and b" in reason


def test_a_failed_cell_without_data_belongs_to_its_run(tmp_path: Path) -> None:
    early = cell(128, status="oom", data=None, model=None, cell={"revisions": {}})
    runs = runs_of(tmp_path, [cell(64), early], [cell(256)])
    (group,) = training_groups(runs)
    assert [(r["length"], r["status"]) for r in group.results] == [
        (64, "ok"), (128, "oom"), (256, "ok"),
    ]  # fmt: skip


def test_one_folder_with_two_versions_is_not_one_curve(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, [cell(64), cell(128, data={"task_revision": "2"})])
    groups = training_groups([run])
    assert sorted(g.title for g in groups) == ["1.16", "2"]


@pytest.mark.parametrize(
    ("key", "value", "label"),
    [
        ("examples", 64, "train 64"), ("epochs", 3, "epochs 3"), ("batch_size", 4, "batch 4"),
        ("test_examples", 90, "test 90"), ("warmup", 0.3, "warmup 0.3"),
        ("weight_decay", 0.2, "decay 0.2"), ("clip", 2.0, "clip 2"),
        ("dropout", 0.1, "dropout 0.1"),
        ("target", "all-linear", "target all-linear"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("length", [64, 128])
def test_settings_that_differ_make_arms_of_their_own(
    tmp_path: Path, key: str, value: Any, label: str, length: int
) -> None:
    usual = {"warmup": 0.1, "weight_decay": 0.01, "clip": 1.0, "dropout": 0.0}
    a = [cell(64, accuracy=0.7, cell=usual)]
    b = [cell(length, accuracy=0.8, cell={**usual, key: value})]
    (group,) = training_groups(runs_of(tmp_path, a, b))
    found = values(group)
    assert found[f"LoRA 1 ({label})"] == {length: 0.8}
    assert len(found) == 2
    assert "LoRA 1" not in found
    assert {0.7} in [set(series.values()) for series in found.values()]


def test_other_arms_of_another_training_size_are_labelled_too(tmp_path: Path) -> None:
    """LoRA of one folder beside SSMLoRA of the other: the difference may be the training size."""
    runs = runs_of(tmp_path, [cell()], [cell(method="ssmlora", cell={"examples": 64})])
    (group,) = training_groups(runs)
    assert set(values(group)) == {"LoRA 1 (train 512)", "SSMLoRA 1 (train 64)"}


def test_examples_that_follow_from_the_length_are_no_difference(tmp_path: Path) -> None:
    """`all` examples may be others at each length, in one folder and in two alike."""
    a = [cell(n, cell={"examples": n + 800}) for n in (64, 128)]
    b = [cell(n, method="ssmlora", cell={"examples": n + 800}) for n in (64, 128, 256)]
    (group,) = training_groups(runs_of(tmp_path, a, b))
    assert set(values(group)) == {"LoRA 1", "SSMLoRA 1"}


def test_rates_that_differ_are_apart_and_one_study_is_one(tmp_path: Path) -> None:
    a, b = [cell(64, lr=1e-3, accuracy=0.7)], [cell(128, lr=2e-3, accuracy=0.8)]
    (group,) = training_groups(runs_of(tmp_path / "x", a, b))
    assert values(group) == {"LoRA 1 (lr 0.001)": {64: 0.7}, "LoRA 1 (lr 0.002)": {128: 0.8}}
    study = [[cell(n, lr=lr) for lr in (1e-3, 2e-3)] for n in (64, 128)]
    (group,) = training_groups(runs_of(tmp_path / "y", *study))
    assert {r["arm"] for r in group.results} == {"LoRA 1"}


def test_the_linear_baseline_is_labelled_by_its_training_texts_alone(tmp_path: Path) -> None:
    a = [cell(64, "tfidf", accuracy=0.7), cell(64)]
    b = [cell(64, "tfidf", accuracy=0.7, cell={"epochs": 9}), cell(64, cell={"epochs": 9})]
    c = [cell(64, "tfidf", accuracy=0.6, cell={"examples": 64})]
    (group,) = training_groups(runs_of(tmp_path / "x", a, b))
    assert values(group)["TF-IDF"] == {64: 0.7}
    assert len([r for r in group.results if r["method"] == "tfidf"]) == 1  # and no second seed
    (group,) = training_groups(runs_of(tmp_path / "y", a, c))
    found = values(group)
    assert (found["TF-IDF (train 512)"], found["TF-IDF (train 64)"]) == ({64: 0.7}, {64: 0.6})


def test_linear_baselines_of_groups_apart_are_labelled_as_well(tmp_path: Path) -> None:
    a = [cell(64, "tfidf", accuracy=0.7)]
    b = [cell(64, "tfidf", accuracy=0.6, cell={"examples": 64, "dtype": "float32"})]
    groups = training_groups(runs_of(tmp_path, a, b))
    assert [[*values(g)] for g in groups] == [["TF-IDF (train 512)"], ["TF-IDF (train 64)"]]


def test_the_same_cell_counts_once_and_that_of_the_first_folder(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, [cell(accuracy=0.7)], [cell(accuracy=0.8), cell(128, accuracy=0.8)])
    (group,) = training_groups(runs)
    assert values(group) == {"LoRA 1": {64: 0.7, 128: 0.8}}
    ((kept, left),) = group.repeated
    assert (kept["run"], left["run"]) == ("a", "b")
    (group,) = training_groups([runs[1], runs[0]])
    assert values(group) == {"LoRA 1": {64: 0.8, 128: 0.8}}


@pytest.mark.parametrize("failure", ["oom", "timeout", "error", "diverged"])
def test_a_score_counts_before_a_failure_of_the_same_cell(tmp_path: Path, failure: str) -> None:
    runs = runs_of(tmp_path, [cell(status=failure)], [cell(accuracy=0.8)])
    (group,) = training_groups(runs)
    assert [(r["status"], r["run"]) for r in group.results] == [("ok", "b")]


def test_one_seed_on_two_devices_is_one_value(tmp_path: Path) -> None:
    a, b = [cell(accuracy=0.7)], [cell(accuracy=0.8, cell={"device": "cuda"})]
    (group,) = training_groups(runs_of(tmp_path, a, b))
    assert len(group.results) == 1
    assert values(group) == {"LoRA 1": {64: 0.7}}


def test_facts_count_a_cell_once_and_what_another_folder_has_is_not_missing(tmp_path: Path) -> None:
    first, second = cell(64), cell(128)
    ids = [first["id"], second["id"], "fedcba987654"]
    runs = runs_of(tmp_path, [first], [first, second], ids=ids)
    assert [len(run.results) for run in runs] == [1, 2]
    (group,) = training_groups(runs)
    assert sorted(r["length"] for r in group.results) == [64, 128]


def probe(length: int = 64, **more: Any) -> dict[str, Any]:
    return cell(length, kind="probe", **more)


def test_costs_join_on_one_machine(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, [cell(), probe(64)], [cell(128), probe(128)])
    (costs,) = cost_groups(runs)
    assert [r["length"] for r in costs.results] == [64, 128]
    (group,) = training_groups(runs)
    assert costs_of(group, [costs]) is not None


MACHINES: dict[str, tuple[Change, str]] = {
    "cpu": ({"environment": {"cpu": "Intel"}}, "processor differs"),
    "cores": ({"environment": {"cores": 4}}, "cores differs"),
    "memory": ({"environment": {"memory_gib": 64.0}}, "memory (GiB) differs"),
    "platform": ({"environment": {"platform": "macOS"}}, "platform differs"),
    "torch": ({"environment": {"torch": "2.14.0"}}, "torch differs"),
    "gpu": ({"environment": {"gpu": "H100"}}, "GPU differs"),
    "device": ({"cell": {"device": "cuda"}}, "device differs"),
    "head": ({"cell": {"uses_lm_head": True}}, "head differs"),
}


@pytest.mark.parametrize("name", MACHINES)
def test_costs_of_two_machines_stay_apart_though_scores_join(tmp_path: Path, name: str) -> None:
    change, reason = MACHINES[name]
    runs = runs_of(tmp_path, [cell(), probe()], [cell(128), probe(64, **change)])
    costs = cost_groups(runs)
    assert [g.runs for g in costs] == [("a",), ("b",)]
    ((_, _, told),) = not_joined(costs, "costs")
    assert reason in told
    assert "b" in told
    (group,) = training_groups(runs)
    assert costs_of(group, costs) is None  # no machine's costs beside the scores of both


@pytest.mark.parametrize("change", [{"cpu": None}, {"gpu": None}])
def test_a_machine_that_is_not_recorded_is_like_no_other(tmp_path: Path, change: Change) -> None:
    made = [probe(n, environment=change, cell={"device": "cuda"}) for n in (64, 128)]
    assert len(cost_groups(runs_of(tmp_path, [made[0]], [made[1]]))) == 2
    assert len(cost_groups(runs_of(tmp_path / "one", made))) == 1


def test_a_little_more_memory_is_the_same_machine(tmp_path: Path) -> None:
    parts = [[probe(64, environment={"memory_gib": 23.9})], [probe(128)]]
    assert len(cost_groups(runs_of(tmp_path, *parts))) == 1


def test_the_same_probe_on_two_machines_is_two_costs(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, [probe()], [probe(environment={"cpu": "Intel"})])
    assert runs[0].results[0]["id"] == runs[1].results[0]["id"]
    assert [len(g.results) for g in cost_groups(runs)] == [1, 1]
    again = runs_of(tmp_path / "again", [probe()], [probe()])
    assert [len(g.results) for g in cost_groups(again)] == [1]


def test_probes_of_other_batches_are_arms_of_their_own(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, [probe()], [probe(cell={"batch_size": 8})])
    (group,) = cost_groups(runs)
    assert [r["arm"] for r in group.results] == ["LoRA 1 (batch 2)", "LoRA 1 (batch 8)"]


def test_costs_stand_beside_every_arm_that_settings_of_training_made(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, [cell(), probe()], [cell(cell={"examples": 64}), probe(128)])
    (group,), costs = training_groups(runs), cost_groups(runs)
    found = costs_of(group, costs)
    assert found is not None
    assert {r["arm"] for r in found.results} == {"LoRA 1 (train 512)", "LoRA 1 (train 64)"}
    assert {r["arm"] for r in costs[0].results} == {"LoRA 1"}


def evaluated(length: int, pin: str = "v1") -> dict[str, Any]:
    revisions = {"task": "1.16", "backbone": "b1", "lm_eval:niah": pin}
    return cell(length, cell={"revisions": revisions}, evaluations=[evaluation()])


def test_values_of_lm_eval_join_where_its_tasks_agree(tmp_path: Path) -> None:
    (group,) = evaluation_groups(runs_of(tmp_path / "x", [evaluated(64)], [evaluated(128)]))
    assert [r["length"] for r in group.results] == [64, 128]
    groups = evaluation_groups(runs_of(tmp_path / "y", [evaluated(64)], [evaluated(128, "v2")]))
    assert [g.runs for g in groups] == [("a",), ("b",)]


def test_groups_of_one_folder_are_what_they_were(laptop: Path) -> None:
    run = load_run(laptop)
    (group,) = training_groups([run])
    assert [r["arm"] for r in group.results] == [
        r["arm"] for r in run.results if r["kind"] == "train"
    ]
    assert (group.title, group.repeated) == ("", ())


def test_sentences_compare_what_was_given_as_many_texts(tmp_path: Path) -> None:
    """Neither SSMLoRA of 64 texts beside LoRA of 512, nor either beside the other's TF-IDF."""
    right = {512: 0.9, 64: 0.6}
    parts = [
        [
            cell(64, m, accuracy=right[n] - 0.2 * (m == "tfidf"), cell={"examples": n})
            for m in ("lora", "ssmlora", "tfidf")
        ]
        for n in (512, 64)
    ]
    (group,) = training_groups(runs_of(tmp_path, *parts))
    found = comparisons_of(group)
    pairs = {(c.about.arm, c.about.other) for c in found if c.about.role == "reference"}
    assert pairs == {(f"SSMLoRA 1 (train {n})", f"LoRA 1 (train {n})") for n in (64, 512)}
    linear = [c for c in found if c.about.role == "baseline"]
    assert len(linear) == 8
    for one in linear:
        same = one.about.arm.split("(")[1] == one.about.other.split("(")[1]
        assert (one.value is not None) == same
        assert (OTHER_TEXTS in one.reason) != same


def test_linear_baselines_of_one_figure_look_different(tmp_path: Path) -> None:
    parts = [[cell(n, "tfidf", cell={"examples": k}) for n in (64, 128)] for k in (512, 64)]
    (group,) = training_groups(runs_of(tmp_path, *parts))
    lines = [
        line
        for line in accuracy_by_length(group.results).axes[0].lines
        if str(line.get_gid()).startswith("arm:TF-IDF")
    ]
    assert len(lines) == 2
    assert len({str(line._unscaled_dash_pattern) for line in lines}) == 2


def test_arms_on_the_same_sites_are_paired_by_their_rate(tmp_path: Path) -> None:
    parts = [[cell(64, m, lr=lr, accuracy=0.7) for m in ("lora", "ssmlora")] for lr in (1e-3, 1e-4)]
    (group,) = training_groups(runs_of(tmp_path, *parts))
    assert {(one.arm, one.other) for one in declared(group)} == {
        (f"SSMLoRA 1 (lr {lr})", f"LoRA 1 (lr {lr})") for lr in ("0.001", "0.0001")
    }
