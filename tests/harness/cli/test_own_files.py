"""From a file to the entry of a sweep file, its card, and a report."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.planning.sweep import load_sweep
from tests.reports.conftest import make_cell, write_run
from tests.tasks.files_made import rows, words, write_csv, write_json


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["tasks", "from", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_from_prints_the_entry_and_the_card(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(folder / "reviews.csv", [[str(k), *row] for k, row in enumerate(rows())], "ibt")
    before = {*folder.iterdir()}
    lines = printed(capsys, "reviews.csv")
    assert lines[1] == "tasks: [{csv: reviews.csv, text: b, label: t}]"
    assert lines[4] == "# columns that are not used: i"
    assert any(line.startswith("reviews: ") for line in lines)
    assert {*folder.iterdir()} - before <= {folder / "cache"}
    sweep = "\n".join(["name: mine", "backbone: minilm", "methods: [head]", *lines[1:4]])
    (folder / "mine.yaml").write_text(sweep)
    assert load_sweep(folder / "mine.yaml").task_names == ["reviews"]
    assert main(["plan", "mine.yaml"]) == 0


def test_from_writes_a_sweep_file_that_can_be_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "data").mkdir()
    (folder / "sweeps").mkdir()
    write_csv(folder / "data" / "reviews.csv", rows())
    lines = printed(capsys, "data/reviews.csv", "--to", "sweeps/mine.yaml")
    assert lines[-1] == "written: sweeps/mine.yaml; to run it: bench-long run sweeps/mine.yaml"
    assert not any(line.startswith(("tasks:", "# columns")) for line in lines)
    sweep = load_sweep(folder / "sweeps" / "mine.yaml")
    assert (sweep.name, sweep.task_names, sweep.lengths) == ("mine", ["reviews"], [16, 32])
    assert "../data/reviews.csv" in (folder / "sweeps" / "mine.yaml").read_text()
    assert main(["plan", "sweeps/mine.yaml"]) == 0
    capsys.readouterr()
    assert main(["tasks", "from", "data/reviews.csv", "--to", "sweeps/mine.yaml"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_from_names_data_by_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n, (text, label) in enumerate(rows(90)):
        part = "train" if n < 60 else "test"
        place = folder / "mails" / part / label
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{n}.txt").write_text(text)
    printed(capsys, "mails", "--to", "mine.yaml")
    assert main(["plan", "mine.yaml", "--no-cost"]) == 0


def test_the_sweep_of_a_published_run_finds_its_files(folder: Path) -> None:
    (folder / "data").mkdir()
    write_csv(folder / "data" / "reviews.csv", rows(90))
    run = write_run(folder / "runs" / "mine", [make_cell("lora")])
    (run / "sweep.yaml").write_text(
        "name: mine\nbackbone: minilm\nlengths: [16]\nmethods: [head]\n"
        "tasks: [{csv: ../../data/reviews.csv, text: body, label: topic}]\n"
        "train: {examples: 8, validation_examples: 4, test_examples: 8}\n"
    )
    assert main(["publish", "runs/mine", "--to", "deep/er/still/mine"]) == 0
    assert main(["plan", "deep/er/still/mine/sweep.yaml", "--no-cost"]) == 0


def test_from_knows_the_usual_columns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = [
        {"premise": words(n), "hypothesis": words(-n, 5), "gold": "ab"[n % 2], "split": part}
        for n, part in enumerate(["train"] * 40 + ["dev"] * 10 + ["test"] * 20)
    ]
    write_json(folder / "nli.jsonl", table)
    assert printed(capsys, "nli.jsonl")[1] == (
        "tasks: [{jsonl: nli.jsonl, text: premise, second: hypothesis, label: gold, split: split}]"
    )
    write_csv(folder / "stars.csv", [[words(n), n / 7] for n in range(60)], ("review", "score"))
    assert "text: review, number: score" in printed(capsys, "stars.csv")[1]
    latin = "\n".join(["review;kind", *(f"{words(n)} é;{n % 2}" for n in range(60))])
    (folder / "latin.csv").write_bytes(latin.encode("cp1252"))
    assert "text: review, label: kind, encoding: cp1252" in printed(capsys, "latin.csv")[1]
    for number, (text, label) in enumerate(rows()):
        place = folder / "mail" / ("test" if number % 3 else "train") / label
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(text)
    assert "folder: {test: mail/test, train: mail/train}" in printed(capsys, "mail")[1]


def test_from_names_what_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(folder / "reviews.csv", rows()[:3])
    for words_, message in (
        (["reviews.csv"], "only 3 rows can be used"),
        (["reviews.csv", "--label", "topics"], "has no column 'topics'. Did you mean 'topic'?"),
        (["reviews.xlsx"], "there is no such file"),
    ):
        assert main(["tasks", "from", *words_]) == 2
        assert message in capsys.readouterr().err


def test_the_card_and_the_check_of_a_sweeps_own_task(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(folder / "reviews.csv", [*rows(), ["<b>" + words(99), "billing"]])
    sweep = "name: mine\nbackbone: minilm\nlengths: [16]\nmethods: [head]\n"
    (folder / "mine.yaml").write_text(
        f"{sweep}tasks: [{{csv: reviews.csv, text: body, label: topic}}]"
    )
    assert main(["tasks", "reviews", "--sweep", "mine.yaml"]) == 0
    assert main(["tasks", "check", "reviews", "--sweep", "mine.yaml", "--length", "16"]) == 0
    assert "no findings at 16 tokens" in capsys.readouterr().err


SWEEP = """
name: mine
backbone: minilm
tasks: [{csv: reviews.csv, text: body, label: topic}]
lengths: [16]
methods: [head]
train: {examples: all, validation_examples: all, test_examples: all}
"""


@pytest.mark.slow
def test_sixty_rows_become_a_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = [["<script>alert(1)</script> " + words(n), rows()[n][1]] for n in range(60)]
    write_csv(folder / "reviews.csv", hostile)
    (folder / "mine.yaml").write_text(SWEEP)
    assert main(["run", "mine.yaml"]) == 0
    run = folder / "runs" / "mine"
    with (run / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert {(row["task"], row["status"]) for row in table} == {("reviews", "ok")}
    page = (run / "report" / "index.html").read_text()
    assert "<script>alert" not in page
    assert re.search(r"&lt;script&gt;alert", page)  # the example of the card
    capsys.readouterr()
    (folder / "reviews.csv").unlink()
    assert main(["report", "runs/mine"]) == 0
    assert main(["run", "mine.yaml"]) == 2
    assert "reviews.csv: there is no such file" in capsys.readouterr().err
