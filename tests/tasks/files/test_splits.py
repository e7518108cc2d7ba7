"""Splits of tasks in files: a share of the texts, a column, or files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks import Splits, Task, TaskError
from tasks.conformance import violations
from tests.tasks.files_made import load, rows, words, write_csv

GIVEN: dict[str, Any] = {"csv": "mine.csv", "text": "body", "label": "topic"}


def sides(task: Task) -> dict[str, str]:
    parts = zip(Splits._fields, task.splits(16, 0), strict=True)
    return {example.text: name for name, part in parts for example in part}


def test_added_rows_move_no_other_row(tmp_path: Path) -> None:
    write_csv(tmp_path / "mine.csv", rows(400))
    before = load(tmp_path, **GIVEN)
    write_csv(tmp_path / "mine.csv", [*rows(500)[400:], *rows(400)])
    after = load(tmp_path, **GIVEN)
    assert sides(before).items() <= sides(after).items()
    order = [example.text for example in before.splits(16, 0).test]
    assert [e.text for e in after.splits(16, 0).test if e.text in order] == order


def test_the_default_shares_and_others(tmp_path: Path) -> None:
    write_csv(tmp_path / "mine.csv", rows(1000))

    def sizes(**keys: Any) -> list[int]:
        return [len(part) for part in load(tmp_path, **GIVEN, **keys).splits(16, 0)]

    for found, wanted in zip(sizes(), (700, 100, 200), strict=True):
        assert abs(found - wanted) < 50
    for found, wanted in zip(sizes(shares=[1, 1, 2]), (250, 250, 500), strict=True):
        assert abs(found - wanted) < 60
    one, two = (sides(load(tmp_path, **GIVEN, seed=seed)) for seed in (0, 1))
    assert one.keys() == two.keys()
    assert one != two


def test_near_duplicates_are_on_one_side(tmp_path: Path) -> None:
    quotes = [[f"{words(n)} quoted {words(n + 500, 6)}", rows(60)[n][1]] for n in range(60)]
    write_csv(tmp_path / "mine.csv", [*rows(60), *quotes])
    task = load(tmp_path, **GIVEN)
    assert violations(task, 16) == []
    found = sides(task)
    assert all(found[words(n)] == found[quotes[n][0]] for n in range(60))
    assert len(set(found.values())) == 3


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.upper(),
        lambda text: text.replace(" ", ", ") + "!",
        lambda text: " ".join([*text.split()[:7], "changed", *text.split()[8:]]),
    ],
    ids=["case", "punctuation", "one word"],
)
def test_changed_copies_of_short_texts_are_on_one_side(
    tmp_path: Path, changed: Callable[[str], str]
) -> None:
    texts = [words(n, 16) for n in range(60)]
    table = [[text, "ab"[n % 2]] for n, text in enumerate(texts)]
    write_csv(tmp_path / "mine.csv", [*table, *([changed(text), label] for text, label in table)])
    found = sides(load(tmp_path, **GIVEN))
    assert all(found[text] == found[changed(text)] for text in texts)
    assert len(set(found.values())) == 3


def test_texts_of_signs_alone_are_not_alike(tmp_path: Path) -> None:
    table = [["!?*+" * 3 + "(" * n, "ab"[n % 2]] for n in range(40)]
    write_csv(tmp_path / "mine.csv", table)
    task = load(tmp_path, **GIVEN)
    assert task.data_warnings() == []
    assert len(set(sides(task).values())) == 3


def test_many_near_duplicates_are_a_warning(tmp_path: Path) -> None:
    form = words(999, 30)
    table = [[f"{form} {words(n, 8)}", "ab"[n % 2]] for n in range(30)] + rows(60)
    write_csv(tmp_path / "mine.csv", table)
    (line,) = load(tmp_path, **GIVEN).data_warnings()
    assert "30 of 90 texts are near-duplicates of each other" in line


def test_a_column_with_the_usual_names(tmp_path: Path) -> None:
    parts = ["Train"] * 50 + ["dev"] * 10 + ["test"] * 30
    table = [[*row, part] for row, part in zip(rows(90), parts, strict=True)]
    table[80] = [table[0][0] + " quoted", "billing", "test"]
    write_csv(tmp_path / "mine.csv", table, ("body", "topic", "part"))
    task = load(tmp_path, **GIVEN, split="part")
    assert [len(part) for part in task.splits(16, 0)] == [50, 10, 30]
    assert sides(task)[words(55)] == "validation"
    (line,) = task.data_warnings()
    assert "1 of the 30 test texts are in train as well" in line
    assert task.metadata.published_splits


def test_published_rows_stay_and_contradictions_are_named(tmp_path: Path) -> None:
    table = [[*row, "train" if n < 60 else "test"] for n, row in enumerate(rows(90))]
    table[70], table[80] = table[71], [words(3), "technical", "test"]
    write_csv(tmp_path / "mine.csv", table, ("body", "topic", "part"))
    task = load(tmp_path, **GIVEN, split="part")
    assert sum(map(len, task.splits(16, 0))) == 90
    different, shared = task.data_warnings()
    assert "line 82 (and line 5): the same text with different labels" in different
    assert "1 of the 30 test texts" in shared


def test_a_column_with_other_names(tmp_path: Path) -> None:
    parts = ["A"] * 60 + ["B"] * 20 + ["C"] * 10
    table = [[*row, part] for row, part in zip(rows(90), parts, strict=True)]
    write_csv(tmp_path / "mine.csv", table, ("body", "topic", "part"))
    with pytest.raises(TaskError, match=r"lines 2, 3, 4, 5, 6 and 55 more: the value 'A' in the"):
        load(tmp_path, **GIVEN, split="part")
    task = load(tmp_path, **GIVEN, split="part", splits={"train": "A", "test": "B"})
    train, validation, test = task.splits(16, 0)
    assert len(test) == 20
    assert len(train) + len(validation) == 60
    assert 1 <= len(validation) <= 20  # cut from train
    assert any("the value 'C'" in line and "left out" in line for line in task.data_warnings())


def test_a_split_without_rows(tmp_path: Path) -> None:
    table = [[*row, "train"] for row in rows(60)]
    write_csv(tmp_path / "mine.csv", table, ("body", "topic", "part"))
    with pytest.raises(TaskError, match="the test split has no rows"):
        load(tmp_path, **GIVEN, split="part")


def test_files(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", rows(90)[:60])
    write_csv(tmp_path / "b.csv", rows(90)[60:])
    files = {"train": "a.csv", "test": "b.csv"}
    task = load(tmp_path, csv=files, text="body", label="topic", name="mine")
    assert {e.text for e in task.splits(16, 0).test} == {words(n) for n in range(60, 90)}
    assert {e.id for e in task.splits(16, 0).test} >= {"b.csv:2"}
    assert task.metadata.source == "a.csv, b.csv"
    turned = {part: files[part] for part in ("test", "train")}
    again = load(tmp_path, csv=turned, text="body", label="topic", name="mine")
    assert again.data_version() == task.data_version()


def test_the_seed_orders_train_only(tmp_path: Path) -> None:
    write_csv(tmp_path / "mine.csv", rows(60))
    task = load(tmp_path, **GIVEN)
    one, two = (task.splits(16, seed) for seed in (0, 1))
    assert one.train != two.train
    assert sorted(one.train) == sorted(two.train)
    assert one[1:] == two[1:]
