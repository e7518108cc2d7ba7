"""Which cells stand in one figure, and what tells the figures apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from reports.frame import Run, load_results, runs_of
from reports.groups import cost_groups, costs_of, training_groups
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import load_run


def cell(task: str, backbone: str | None, method: str = "lora", **more: Any) -> dict[str, Any]:
    made = make_cell(method, task=task, **more)
    made["cell"]["backbone"] = backbone
    about = (task, backbone, method, made["kind"], made["cell"]["length"])
    made["id"] = re.sub(r"\W", "_", repr(about))[-60:]
    return made


def run_of(folder: Path, cells: list[dict[str, Any]], name: str = "run", **more: Any) -> Run:
    return load_run(write_run(folder, cells, name=name, **more))


def test_one_task_needs_no_title(tmp_path: Path) -> None:
    (group,) = training_groups([run_of(tmp_path, [make_cell(), make_cell(kind="probe")])])
    assert (group.title, group.suffix) == ("", "")
    assert [r["kind"] for r in group.results] == ["train"]


def test_tasks_and_backbones_are_apart_and_named(tmp_path: Path) -> None:
    cells = [cell(t, b) for t in ("news", "code") for b in ("minilm", "bert")]
    groups = training_groups([run_of(tmp_path, cells)])
    assert [g.title for g in groups] == [
        "code · bert", "code · minilm", "news · bert", "news · minilm",
    ]  # fmt: skip
    assert groups[0].suffix == "-code-bert"
    assert all(len(g.results) == 1 for g in groups)


def test_a_baseline_without_a_backbone_stands_beside_every_backbone(tmp_path: Path) -> None:
    cells = [cell("news", "minilm"), cell("news", "bert"), cell("news", None, "tfidf")]
    groups = training_groups([run_of(tmp_path, cells)])
    assert [[r["method"] for r in g.results] for g in groups] == [["lora", "tfidf"]] * 2


def test_probes_are_the_costs_of_every_task_of_their_run(tmp_path: Path) -> None:
    cells = [cell("news", "minilm"), cell("code", "minilm"), cell("x", "minilm", kind="probe")]
    probing = run_of(tmp_path / "a", cells, name="a")
    bare = run_of(tmp_path / "b", [cell("news", "minilm"), cell("code", "minilm")], name="b")
    costs = cost_groups([probing, bare])
    assert [(g.key.run, g.key.task, len(g.results)) for g in costs] == [
        ("a", "", 1), ("b", "code", 1), ("b", "news", 1),
    ]  # fmt: skip
    pairs = {g.key: costs_of(g, costs) for g in training_groups([probing, bare])}
    assert {key.task for key in pairs} == {"news", "code"}
    for cost in pairs.values():  # the probes of one run are the costs of all that are joined
        assert cost is not None
        assert cost.key[:2] == ("a", "")


def test_cells_of_an_earlier_sweep_are_left_out(tmp_path: Path) -> None:
    cells = [cell("news", "minilm"), cell("code", "minilm"), cell("x", "minilm", kind="probe")]
    run = run_of(tmp_path, cells, ids=[cells[0]["id"]])
    assert [g.key.task for g in training_groups([run])] == ["news"]
    assert [(g.key.task, g.results[0]["kind"]) for g in cost_groups([run])] == [("news", "train")]


def test_runs_of_one_name_get_numbers_that_no_other_has(tmp_path: Path) -> None:
    names = ["same", "same", "same (1)", "other"]
    runs = []
    for k, name in enumerate(names):
        made = make_cell(length=64 + k)
        made["data"]["task_revision"] = str(k)  # not to be joined
        runs.append(run_of(tmp_path / str(k), [made], name=name))
    found = runs_of(load_results(*(run.path for run in runs)))
    assert [run.name for run in found] == ["same (2)", "same (3)", "same (1)", "other"]
    assert [run.results[0]["run"] for run in found] == [run.name for run in found]
    assert [run.results[0]["run"] for run in runs] == names  # what was given stays as it is
    assert len({g.suffix for g in training_groups(found)}) == 4


def test_names_that_differ_in_signs_alone_have_files_of_their_own(tmp_path: Path) -> None:
    cells = [cell("a/b", "m"), cell("a?b", "m", length=64)]
    groups = training_groups([run_of(tmp_path / "a", cells)])
    assert [g.suffix for g in groups] == ["-a-b", "-a-b-x"]
    long = training_groups([run_of(tmp_path / "l", [cell("x" * 400, "m"), cell("../../y", "m")])])
    assert len(long) == 2
    assert all(len(g.suffix) <= 61 for g in long)
    assert all("/" not in g.suffix and "." not in g.suffix for g in long)
