"""What is wrong in the files of an entry is reported at once, with file and row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks import TaskError
from tasks.files import DataEntry
from tests.tasks.files_made import load, rows, words, write_csv, write_json

GIVEN: dict[str, Any] = {"csv": "mine.csv", "text": "body", "label": "topic"}


def errors(folder: Path, **keys: Any) -> list[str]:
    with pytest.raises(TaskError) as caught:
        load(folder, **{**GIVEN, **keys})
    return [str(line) for line in caught.value.args]


def written(folder: Path, changes: dict[int, list[str]], count: int = 60) -> None:
    table = rows(count)
    for number, row in changes.items():
        table[number] = row
    write_csv(folder / "mine.csv", table)


def test_rows_without_label_or_text_are_named_and_the_others_counted(tmp_path: Path) -> None:
    missing = {number: [words(number), " "] for number in range(0, 60, 7)}
    written(tmp_path, {**missing, 5: ["", "billing"], 50: ["\t", "billing"]})
    lines = errors(tmp_path)
    assert len(lines) == 2
    assert "mine.csv: lines 2, 9, 16, 23, 30 and 4 more: the label (column 'topic')" in lines[0]
    assert "mine.csv: lines 7, 52: the text (column 'body') is empty" in lines[1]
    task = load(tmp_path, **GIVEN, skip_incomplete=True)
    assert sum(map(len, task.splits(16, 0))) == 60 - 9 - 2
    assert any("and 4 more: the label" in line for line in task.data_warnings())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows(3), "only 3 rows can be used: at least 10 are needed"),
        ([], "only 0 rows can be used"),
        ([[words(n), "billing"] for n in range(60)], "has only the class 'billing'"),
        ([[words(n), words(n, 3)] for n in range(60)], "60 different values in 60 rows"),
    ],
)
def test_data_that_is_no_task(tmp_path: Path, table: list[list[str]], message: str) -> None:
    write_csv(tmp_path / "mine.csv", table)
    assert message in errors(tmp_path)[0]


def test_labels_that_differ_in_case_are_an_error_and_in_spaces_a_warning(tmp_path: Path) -> None:
    written(tmp_path, {3: [words(3), "billing "], 4: [words(4), "Billing"]})
    lines = errors(tmp_path)
    assert "'Billing' (1, first line 6), 'billing' (" in lines[0]
    assert "differ only in case" in lines[0]
    assert any("warning: " in line and "line 5: the label has spaces" in line for line in lines)
    written(tmp_path, {3: [words(3), "billing "]})
    assert load(tmp_path, **GIVEN).metadata.labels == ("billing", "technical")


def test_contradictions_copies_and_rare_classes_are_warnings(tmp_path: Path) -> None:
    same, copied = [words(7), "technical"], [words(9), rows()[9][1]]
    written(tmp_path, {20: same, 30: copied, 40: [words(40), "other"]})
    task = load(tmp_path, **GIVEN)
    warnings = task.data_warnings()
    assert any("line 22 (and line 9): the same text with different" in line for line in warnings)
    assert any("line 32: a copy of an earlier row" in line for line in warnings)
    assert any("1 of the 3 classes have one row only: 'other' (line 42)" in w for w in warnings)
    texts = [[example.text for example in part] for part in task.splits(16, 0)]
    assert sum(map(len, texts)) == 59
    assert sum(words(7) in part for part in texts) == 1  # both are on one side


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    written(tmp_path, {})
    (line,) = errors(tmp_path, label="topics")
    assert "mine.csv: there is no column 'topics'. Did you mean 'topic'?" in line


def test_rows_are_lines_of_the_file_also_after_line_breaks_in_cells(tmp_path: Path) -> None:
    written(tmp_path, {0: ["two\nlines " + words(0), ""], 1: [words(1), ""]})
    (line,) = errors(tmp_path)
    assert "lines 2, 4: the label" in line


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"never closed,billing', "line 5: a cell opens with a quote that is never closed"),
        ('"He said "hi"",billing', "line 5: the row is no CSV"),
        ("one, two,billing", "line 5: the row has not as many cells as the header (2)"),
    ],
)
def test_a_mess_of_quotes(tmp_path: Path, line: str, message: str) -> None:
    lines = ["body,topic", *(",".join(row) for row in rows())]
    lines[4] = line
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    assert message in errors(tmp_path)[0]


def test_json_lines_that_are_none(tmp_path: Path) -> None:
    write_json(tmp_path / "mine.jsonl", ({"body": t, "topic": label} for t, label in rows()))
    lines = (tmp_path / "mine.jsonl").read_text().splitlines()
    lines[2], lines[6], lines[8] = "{", "[1]", '{"body": ["a"], "topic": "billing"}'
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    found = errors(tmp_path, csv=None, jsonl="mine.jsonl")
    assert "line 3: is no JSON" in found[0]
    assert "line 7: is no JSON object" in found[1]
    assert "line 9: the text (column 'body') is a list" in found[2]


def test_numbers_that_are_none(tmp_path: Path) -> None:
    table = [[words(n), "3,5" if n == 4 else str(n / 2)] for n in range(60)]
    write_csv(tmp_path / "mine.csv", table)
    with pytest.raises(TaskError, match=r"line 6: the value in the column 'topic' is no number"):
        load(tmp_path, csv="mine.csv", text="body", number="topic")


def test_folders(tmp_path: Path) -> None:
    place = tmp_path / "texts"
    place.mkdir()
    for number in range(30):
        (place / f"{number}.txt").write_text(words(number))
    with pytest.raises(TaskError, match=r"texts has no subfolders: .*language_modelling"):
        load(tmp_path, folder="texts")
    for part in ("train", "test"):
        (place / part).mkdir()
    with pytest.raises(TaskError, match=r"are splits, not classes: write `folder: \{test: .*test"):
        load(tmp_path, folder="texts")
    with pytest.raises(TaskError, match=r"nowhere: there is no such folder"):
        load(tmp_path, folder="nowhere")


def test_a_missing_file(tmp_path: Path) -> None:
    assert "mine.csv: there is no such file (paths are relative" in errors(tmp_path)[0]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"lable": "topic"}, "unknown key 'lable'. Did you mean 'label'?"),
        ({"text_pair": "b"}, "unknown key 'text_pair'. Did you mean 'second'?"),
        ({"jsonl": "b.jsonl"}, "one of csv, jsonl, parquet, folder, hub says where"),
        ({"csv": 3}, "csv: expected a path (found 3)"),
        ({"csv": {"train": "a.csv", "dev": "b.csv"}}, "csv: unknown split 'dev'"),
        ({"csv": {"train": "a.csv", "test": "b.csv"}}, "name: is needed where csv has several"),
        ({"text": None}, "text: expected the name of a column"),
        ({"answer": "a"}, "label and answer: a task has one kind of answer"),
        ({"type": "choice"}, "type: no type 'choice' for data in files"),
        ({"type": "pair"}, "second: is missing: pair needs it"),
        ({"type": "regression"}, "label: a regression predicts a number: write `number: topic`"),
        ({"encoding": "utf-9"}, "encoding: there is no encoding 'utf-9'"),
        ({"shares": [80, 20]}, "shares: expected three positive numbers"),
        ({"splits": {"train": "a", "test": "b"}}, "add `split: COLUMN`"),
        ({"config": "en"}, "config: is for hub only"),
        ({"name": "My task"}, "name: write a name of lower-case letters"),
        ({"csv": "2024.csv"}, "name: write a name of lower-case letters"),
    ],
)
def test_entries_that_are_refused_before_a_file_is_read(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DataEntry.model_validate({**GIVEN, **keys})
    assert message in str(caught.value)
