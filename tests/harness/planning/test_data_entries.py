"""Tasks that a sweep file defines are planned with paths relative to it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.planning.plan import Plan, make_plan
from harness.planning.sweep import as_file, load_sweep
from harness.planning.yaml_files import dump_yaml
from tasks import load_task
from tests.tasks.files_made import rows, write_csv

SWEEP = """
name: mine
backbone: minilm
tasks: [{csv: data/reviews.csv, text: body, label: topic}]
lengths: [16, 32]
methods: [head]
train: {examples: all, validation_examples: all, test_examples: all}
"""


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    write_csv(tmp_path / "data" / "reviews.csv", rows(60, 40))
    (tmp_path / "mine.yaml").write_text(SWEEP)
    return tmp_path / "mine.yaml"


def planned(sweep: Path, *sets: str) -> Plan:
    return make_plan(load_sweep(sweep, sets), sweep)


def ids(plan: Plan) -> set[str]:
    return {cell.id for cell in plan.cells}


def test_cells_have_the_version_of_the_file(sweep: Path) -> None:
    plan = planned(sweep)
    assert {(cell.task, cell.method) for cell in plan.cells} == {
        ("reviews", "head"),
        ("reviews", "tfidf"),
    }
    assert all(cell.revisions["task"].startswith("files:") for cell in plan.cells)
    before = ids(plan)
    assert ids(planned(sweep)) == before
    table = rows(60, 40)
    table[0][1] = "technical"
    write_csv(sweep.parent / "data" / "reviews.csv", table)
    assert not ids(planned(sweep)) & before


def test_the_definition_goes_to_other_processes(sweep: Path) -> None:
    own = pickle.loads(pickle.dumps(planned(sweep).own_tasks))
    assert load_task("reviews", own).metadata.labels == ("billing", "technical")


def test_the_sweep_of_a_run_folder_finds_the_file(sweep: Path) -> None:
    run = sweep.parent / "runs" / "mine"
    run.mkdir(parents=True)
    plan = planned(sweep)
    (run / "sweep.yaml").write_text(dump_yaml(as_file(plan.sweep, run)))
    assert "csv: ../../data/reviews.csv" in (run / "sweep.yaml").read_text()
    assert ids(planned(run / "sweep.yaml")) == ids(plan)


@pytest.mark.parametrize(
    ("entries", "lines"),
    [
        ("[{csv: data/reviews.csv, text: body, lable: topic}]", ["tasks.0: unknown key 'lable'."]),
        ("[{csv: data/none.csv, text: body}, 4]", ["tasks.1: expected a text"]),
        (
            "[{csv: none.csv, text: body}, {csv: data/reviews.csv, text: boby, label: topics}]",
            [
                "tasks: none: ", "reviews: reviews.csv: there is no column 'boby'. Did you mean",
                "reviews: reviews.csv: there is no column 'topics'. Did you mean 'topic'?",
            ],
        ),
        (
            "[{csv: data/reviews.csv, text: body, label: topic, name: newsgroups}]",
            ["newsgroups: another task has this name"],
        ),
        ("[{csv: data/reviews.csv, text: body, label: topic}, reviews]", ["duplicate value"]),
    ],
)  # fmt: skip
def test_mistakes_are_refused(sweep: Path, entries: str, lines: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        planned(sweep, f"tasks={entries}")
    assert len(caught.value.args) == len(lines)
    for found, expected in zip(caught.value.args, lines, strict=True):
        assert found.startswith(f"{sweep}: ")
        assert expected in found


def test_all_sizes_that_are_too_large_are_named(sweep: Path) -> None:
    with pytest.raises(BadInput) as caught:
        planned(sweep, "train={}")
    assert [line.split(": ")[1] for line in caught.value.args] == [
        "train.examples",
        "train.validation_examples",
        "train.test_examples",
    ]


def test_warnings_of_the_data_are_those_of_the_plan(sweep: Path) -> None:
    write_csv(sweep.parent / "data" / "reviews.csv", [*rows(60, 40), *rows(2, 40)])
    (line,) = planned(sweep).warnings
    assert line == (
        f"{sweep}: tasks: reviews: reviews.csv: lines 62, 63: a copy of an earlier row: it is "
        "used once"
    )
