"""Every format and every task type of an entry yields the rows of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import Task, TaskError
from tasks.base import MissingData
from tasks.conformance import violations
from tasks.types import TASK_TYPES
from tests.tasks.files_made import LABELS, load, rows, words, write_csv, write_json


def answers(task: Task) -> dict[str, str]:
    splits = task.splits(64, 0)
    kind = task.metadata.task_type
    return {e.text: kind.answer_text(task.metadata, e) for part in splits for e in part}


EXPECTED = {row[0]: row[1] for row in rows()}


@pytest.fixture
def formats(tmp_path: Path) -> Path:
    write_csv(tmp_path / "mine.csv", rows())
    write_json(tmp_path / "mine.jsonl", ({"body": t, "topic": label} for t, label in rows()))
    table = {"body": [t for t, _ in rows()], "topic": [label for _, label in rows()]}
    pq.write_table(pa.table(table), tmp_path / "mine.parquet")
    for number, (text, label) in enumerate(rows()):
        (tmp_path / "mine" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / label / f"{number}.txt").write_text(text)
    semicolons = "\n".join(";".join(row) for row in [["body", "topic"], *rows()])
    (tmp_path / "semicolons.csv").write_bytes(b"\xef\xbb\xbf" + semicolons.encode())
    return tmp_path


@pytest.mark.parametrize("key", ["csv", "jsonl", "parquet", "folder"])
def test_each_format_has_the_same_examples(formats: Path, key: str) -> None:
    columns = {} if key == "folder" else {"text": "body", "label": "topic"}
    task = load(formats, **{key: "mine" if key == "folder" else f"mine.{key}"}, **columns)
    task.prepare()
    assert task.metadata.name == "mine"
    assert task.metadata.labels == LABELS
    assert answers(task) == EXPECTED
    assert violations(task, 32) == []
    assert task.metadata.natural_length == 40
    assert not task.metadata.balanced


def test_a_header_with_semicolons_and_a_byte_order_mark(formats: Path) -> None:
    assert answers(load(formats, csv="semicolons.csv", text="body", label="topic")) == EXPECTED


def test_classes_stored_as_numbers_have_their_names(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"body": Value("string"), "topic": ClassLabel(names=[*LABELS])})
    table = {"body": [t for t, _ in rows()], "topic": [LABELS.index(n) for _, n in rows()]}
    Dataset.from_dict(table, features=features).to_parquet(tmp_path / "mine.parquet")
    assert answers(load(tmp_path, parquet="mine.parquet", text="body", label="topic")) == EXPECTED


def hub_split(folder: Path, name: str, numbers: range) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kept = [rows(90)[number] for number in numbers]
    table = {"body": [t for t, _ in kept], "topic": [label for _, label in kept]}
    pq.write_table(pa.table(table), folder / f"{name}-00000-of-00001.parquet")


def test_a_repository_of_the_hub(hub: Path) -> None:
    folder = hub / "someone" / "tickets" / "en"
    hub_split(folder, "train", range(60))
    hub_split(folder, "eval", range(60, 90))
    given = {"hub": "someone/tickets", "config": "en", "text": "body", "label": "topic"}
    task = load(hub, **given, splits={"train": "train", "test": "eval"})
    train, validation, test = task.splits(32, 0)
    assert {e.text for e in test} == {words(number) for number in range(60, 90)}
    assert len(train) + len(validation) == 60
    assert validation
    assert task.metadata.published_splits
    assert task.metadata.source == "someone/tickets"
    with pytest.raises(MissingData, match="hf download --repo-type dataset someone/tickets"):
        load(hub, **given)


NEEDED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "classification": ({"label": "a"}, {"a": [0, 1, 2]}),
    "pair": ({"second": "b", "label": "a"}, {"a": ["yes", "no"], "b": ["one", "two", "three"]}),
    "multilabel": ({"label": "a"}, {"a": [["x", "y"], ["x"], [], ["z"]]}),
    "generation": ({"answer": "a", "second": "b"}, {"a": ["four words to write"], "b": ["why?"]}),
    "regression": ({"number": "a"}, {"a": [1, 2.5, "4", 5]}),
    "language_modelling": ({}, {}),
}


@pytest.mark.parametrize("family", NEEDED)
def test_the_type_follows_from_the_columns(tmp_path: Path, family: str) -> None:
    keys, values = NEEDED[family]
    table = [
        {"t": words(n), **{c: options[n % len(options)] for c, options in values.items()}}
        for n in range(200)
    ]
    write_json(tmp_path / "mine.jsonl", table)
    task = load(tmp_path, jsonl="mine.jsonl", text="t", **keys)
    assert task.metadata.family == family
    assert violations(task, 32) == []
    examples = [example for part in task.splits(32, 0) for example in part]
    assert len(examples) == len(table)
    example = min(examples, key=lambda e: int(e.id.rpartition(":")[2]))
    found = {
        "classification": task.metadata.labels[example.label] if example.label >= 0 else "",
        "pair": task.metadata.labels[example.label] if example.label >= 0 else "",
        "multilabel": example.labels,
        "generation": example.answers,
        "regression": example.value,
        "language_modelling": (),
    }
    expected = {
        "classification": "0",
        "pair": "yes",
        "multilabel": (0, 1),
        "generation": ("four words to write",),
        "regression": 1.0,
        "language_modelling": (),
    }
    assert found[family] == expected[family]
    assert example.text == words(0)
    assert example.second == (table[0]["b"] if "second" in keys else "")


def test_all_types_but_choice_can_be_in_files() -> None:
    assert set(NEEDED) == set(TASK_TYPES) - {"choice"}


def test_labels_in_a_text_with_a_separator(tmp_path: Path) -> None:
    table = [[words(n), ("red; blue", "red", "", "blue ;green")[n % 4]] for n in range(60)]
    write_csv(tmp_path / "mine.csv", table)
    task = load(tmp_path, csv="mine.csv", text="body", label="topic", separator=";")
    assert task.metadata.labels == ("blue", "green", "red")
    found = answers(task)
    assert [found[words(n)] for n in range(4)] == ["blue, red", "red", "(none)", "blue, green"]


def test_texts_without_classes(tmp_path: Path) -> None:
    for number in range(30):
        place = tmp_path / "books" / ("old" if number % 2 else "")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(words(number))
    (tmp_path / "books" / ".hidden").write_text("no text of the task")
    task = load(tmp_path, folder="books", type="language_modelling")
    assert sorted(answers(task)) == sorted(words(number) for number in range(30))


def test_another_file_is_another_version(tmp_path: Path) -> None:
    def version(table: list[list[str]]) -> str:
        write_csv(tmp_path / "mine.csv", table)
        return load(tmp_path, csv="mine.csv", text="body", label="topic").data_version()

    first = version(rows())
    assert first.startswith("files:")
    assert first == version(rows())
    assert first != version([*rows()[:-1], [words(59), "billing"]])
    assert first != version([*rows(), [words(99), "billing"]])


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    lines = ["body,topic", *(f"{words(n)} caf\xe9,{'ab'[n % 2]}" for n in range(40))]
    (tmp_path / "mine.csv").write_bytes("\n".join(lines).encode("cp1252"))
    given = {"csv": "mine.csv", "text": "body", "label": "topic"}
    with pytest.raises(TaskError, match=r"line 2: the byte 0xe9 is not UTF-8.*encoding: cp1252"):
        load(tmp_path, **given)
    task = load(tmp_path, **given, encoding="cp1252")
    assert all(text.endswith("café") for text in answers(task))


@pytest.mark.parametrize("key", ["csv", "folder"])
def test_moved_files_are_the_same_data(
    formats: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"folder": "mine"} if key == "folder" else {"csv": "mine.csv", "text": "body"}
    before = load(formats, **given)
    moved = formats.parent / f"{formats.name}-moved"
    formats.rename(moved)
    monkeypatch.chdir(moved)
    after = load(moved, **given)
    assert after.data_version() == before.data_version()
    assert after.splits(16, 0).test == before.splits(16, 0).test
