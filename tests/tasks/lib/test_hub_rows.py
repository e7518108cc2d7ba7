"""What in a row of the hub is no text, or no answer, is named; so is a split without rows."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import TaskError, load_task
from tasks.lib.rows import cut
from tests.tasks.hub_folder import HUB, ROWS, Row, write, write_rows
from tests.tasks.release_folder import listops, photos, reviews

Change = Callable[[Row], Row]


def _one_wrong(folder: Path, name: str, change: Change) -> str:
    """The error of a repository in which the rows of the test are such; the row's own name."""
    first = write(folder, name, 40)
    task = HUB[name]
    draw = random.Random(0)
    for file in first.parent.glob(f"{task.parts[2]}-*.parquet"):
        file.unlink()
    rows = [change(ROWS[name](i, draw)) for i in range(6)]
    write_rows(first.parent / f"{task.parts[2]}-0.parquet", rows)
    with pytest.raises(TaskError) as error:
        load_task(name).prepare()
    message = str(error.value)
    assert message.isprintable()
    assert message.startswith(f"{name}: row ")
    assert f"of '{task.parts[2]}' in {task.repository} is invalid" in message
    assert f"hf download --repo-type dataset {task.repository}" in message
    return message


def _set(*path: Any, value: Any) -> Change:
    def change(row: Row) -> Row:
        inner: Any = row
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        return row

    return change


@pytest.mark.parametrize("answer", ["", "BC", "ABCD", "E", "a", "\x1b[31m"])
def test_race_knows_four_answers(answer: str, hub: Path) -> None:
    message = _one_wrong(hub, "race", _set("answer", value=answer))
    assert "is none of A, B, C, D" in message


TEXTS: list[tuple[str, list[Any], str]] = [
    ("arxiv", ["text"], "text"),
    ("imdb", ["text"], "text"),
    ("pg19", ["text"], "text"),
    ("race", ["article"], "article"),
    ("race", ["question"], "question"),
    ("race", ["options", 2], "options.*"),
    ("race", ["options"], "options.*"),
    ("race", ["answer"], "answer"),
    ("ecthr", ["text", 1], "text.*"),
    ("ecthr", ["text"], "text.*"),
    ("narrativeqa", ["document"], "document.summary.text"),
    ("narrativeqa", ["document", "summary", "text"], "document.summary.text"),
    ("narrativeqa", ["question", "text"], "question.text"),
    ("narrativeqa", ["answers"], "answers.*.text"),
    ("narrativeqa", ["answers", 0, "text"], "answers.*.text"),
    ("glue_mrpc", ["sentence2"], "sentence2"),
    ("superglue_boolq", ["question"], "question"),
    ("superglue_copa", ["choice2"], "choice2"),
    ("superglue_multirc", ["answer"], "answer"),
    ("superglue_wic", ["word"], "word"),
    ("superglue_wsc", ["span1_text"], "span1_text"),
]


@pytest.mark.parametrize(("name", "path", "column"), TEXTS)
def test_null_is_no_text(name: str, path: list[Any], column: str, hub: Path) -> None:
    message = _one_wrong(hub, name, _set(*path, value=None))
    assert f"the column '{column}' has null, expected text" in message


@pytest.mark.parametrize(
    ("name", "path", "column"),
    # A list of texts and one number is no list of Arrow's.
    [case for case in TEXTS if not any(isinstance(step, int) for step in case[1])],
)
def test_a_number_is_no_text(name: str, path: list[Any], column: str, hub: Path) -> None:
    message = _one_wrong(hub, name, _set(*path, value=7))
    assert f"the column '{column}' has int, expected text" in message


def test_a_list_is_no_text(hub: Path) -> None:
    said = _one_wrong(hub, "arxiv", _set("text", value=["a", "b"]))
    assert "'text' has list, expected text" in said


def test_one_row_among_many_is_named_before_a_sweep_starts(hub: Path) -> None:
    first = write(hub, "pg19", 40)
    rows = pq.read_table(first).to_pylist()
    rows[11]["text"] = None
    pq.write_table(pa.Table.from_pylist(rows), first)
    with pytest.raises(TaskError, match="pg19: row 11 of 'train' in emozilla/pg19 is invalid"):
        load_task("pg19").prepare()


def _rows_of(folder: Path, name: str, rows: dict[str, list[Row]]) -> Path:
    """The repository of a task with these rows by split; no rows: their columns alone."""
    first = write(folder, name, 4)
    schema = pq.read_schema(first)
    for part, made in rows.items():
        for file in first.parent.glob(f"{part}-*.parquet"):
            file.unlink()
        pq.write_table(
            pa.Table.from_pylist(made, schema=schema), first.parent / f"{part}-0.parquet"
        )
    return first.parent


def _drawn(name: str, count: int, seed: int = 0) -> list[Row]:
    draw = random.Random(seed)
    return [ROWS[name](i, draw) for i in range(count)]


@pytest.mark.parametrize("name", ["glue_rte", "imdb", "lra_text"])
def test_one_row_leaves_none_to_train_on(name: str, hub: Path) -> None:
    source = "imdb" if name == "lra_text" else name
    _rows_of(hub, source, {"train": _drawn(source, 1)})
    with pytest.raises(TaskError) as error:
        load_task(name).prepare()
    message = str(error.value)
    assert message.startswith(f"{name}: {hub / HUB[name].repository} leaves a split without ")
    assert "(train 0, validation 1, test 4)" in message
    assert "hf download" in message
    assert message.isprintable()


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_file_without_rows_is_named(part: str, hub: Path) -> None:
    base = _rows_of(hub, "race", {part: []})
    with pytest.raises(TaskError, match=f"^race: {base}/{part}-0.parquet has no rows: run"):
        load_task("race").prepare()


def test_no_rows_are_cut_into_none() -> None:
    assert [list(part) for part in cut([])] == [[], []]
    assert [list(part) for part in cut([5])] == [[0], []]
    assert [list(part) for part in cut([5, 4, 5])] == [[1], [0, 2]]


def test_rows_of_one_text_leave_none_to_train_on(hub: Path) -> None:
    row = _drawn("glue_rte", 1)[0]
    _rows_of(hub, "glue_rte", {"train": [row] * 30})
    with pytest.raises(TaskError, match=r"\(train 0, validation 30, test 4\).*hf download"):
        load_task("glue_rte").prepare()


def test_two_rows_are_enough(hub: Path) -> None:
    _rows_of(hub, "glue_rte", {"train": _drawn("glue_rte", 2)})
    load_task("glue_rte").prepare()


def test_a_release_of_one_example_is_named(release: Path, hub: Path) -> None:
    reviews(release, rows=1)
    for path in (release / "lra_release" / "aclImdb" / "train").glob("*/*.txt"):
        path.write_text("The same.", encoding="utf-8")
    with pytest.raises(TaskError, match=r"lra_text: .*aclImdb .*\(train 0, validation 2, test 2\)"):
        load_task("lra_text").prepare()
    photos(release, rows=1)
    task = load_task("lra_image")
    task.prepare()
    assert [len(part) for part in task.splits(1026, 0)] == [4, 1, 1]
    listops(release, rows=1)
    load_task("lra_listops").prepare()
