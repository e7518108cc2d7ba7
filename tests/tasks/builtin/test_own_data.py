"""The task of docs/own-data.md reads a user's CSV file."""

from __future__ import annotations

import csv
import random
import re
from pathlib import Path

import pytest

from tasks import Task, TaskError, load_task
from tasks.conformance import violations
from tasks.words import FILLER

PAGE = Path(__file__).parents[3] / "docs" / "own-data.md"
LABELS = ("billing", "technical")


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    code = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    plugins = tmp_path / "mytasks"
    plugins.mkdir()
    (plugins / "tickets.py").write_text("".join(code))
    monkeypatch.chdir(tmp_path)
    return load_task("tickets", plugins)


def write(rows: list[tuple[str, str]]) -> None:
    with Path("tickets.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def tickets(count: int) -> list[tuple[str, str]]:
    draw = random.Random(0)
    return [(" ".join(draw.choices(FILLER, k=30)), LABELS[n % 3 // 2]) for n in range(count)]


def test_it_keeps_the_rules_of_every_task(task: Task) -> None:
    rows = tickets(300)
    write([*rows, *rows[:20]])
    task.prepare()
    assert violations(task, 64) == []
    splits = task.splits(64, 0)
    assert sum(map(len, splits)) == 300
    assert {(e.text, LABELS[e.label]) for part in splits for e in part} == set(rows)
    assert len(splits.train) > len(splits.test) > len(splits.validation) > 10


def test_another_file_is_another_version(task: Task) -> None:
    rows = tickets(60)
    write(rows)
    before = task.data_version()
    write([(text, LABELS[1 - LABELS.index(label)]) for text, label in rows])
    assert task.data_version() != before


def test_a_missing_file_is_named(task: Task) -> None:
    with pytest.raises(TaskError, match=r"tickets\.csv is missing"):
        task.prepare()
