"""What files of the hub are read as: text as it stands there, and no column that is not needed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import TaskError, load_task
from tasks.lib.columns import Columns
from tasks.lib.convert import convert
from tasks.lib.labels import Labels
from tasks.lib.readers import _needed
from tests.tasks.hub_folder import HUB, ROWS, write, write_rows

NO_VALUES = ["null", "NA", "None", "nan", "N/A", "NaN", "NULL", "", "n/a", "#N/A", "1", "-1.0"]
"""What pandas takes for no text."""


def _texts(folder: Path, ending: str, content: str | bytes) -> Path:
    """IMDb whose train files are one of this content."""
    first = write(folder, "imdb", 40)
    for file in first.parent.glob("train-*"):
        file.unlink()
    path = first.parent / f"train-0.{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _read() -> list[tuple[str, int]]:
    train, validation, _ = load_task("imdb").splits(64, 0)
    both = sorted([*train, *validation], key=lambda example: int(example.id.split("-")[1]))
    return [(example.text, example.label) for example in both]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json"])
def test_words_for_nothing_are_text(ending: str, hub: Path) -> None:
    rows = [{"text": text, "label": n % 2} for n, text in enumerate(NO_VALUES)]
    content = "\n".join(json.dumps(row) for row in rows)
    if ending == "json":
        content = json.dumps(rows, indent=1)
    if ending == "csv":
        content = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows)
    _texts(hub, ending, content)
    load_task("imdb").prepare()
    assert _read() == [(text, n % 2) for n, text in enumerate(NO_VALUES)]


def test_a_table_with_quotes_lines_within_and_long_cells(hub: Path) -> None:
    long = "word " * 100_000
    content = f'\ufefflabel,"text",other\r\n1,"a ""b"", c\nd",\r\n\r\n0,{long},x\r\n1,ü,\r\n'
    _texts(hub, "csv", content)
    assert _read() == [('a "b", c\nd', 1), (long, 0), ("ü", 1)]


def test_lines_of_json_with_a_mark_at_the_beginning_and_columns_that_differ(hub: Path) -> None:
    rows = [
        {"text": "a", "label": 0, "more": 1},
        {"label": 1.0, "text": "b", "more": {"x": []}},
        {"text": "c", "label": "pos", "more": "y", "new": None},
    ]
    _texts(hub, "jsonl", "\ufeff" + "\n\n".join(json.dumps(row) for row in rows))
    assert _read() == [("a", 0), ("b", 1), ("c", 1)]


@pytest.mark.parametrize(
    ("ending", "content", "complaint"),
    [
        ("csv", "", "is empty"),
        ("jsonl", "", "is empty"),
        ("json", "", "is empty"),
        ("parquet", "", "is empty"),
        ("csv", "text,label\n", "has no rows"),
        ("jsonl", "\n \n", "has no rows"),
        ("json", "[]", "has no rows"),
        ("json", " \n", "has no rows"),
        ("csv", "\n", "has no column 'text'"),
        ("csv", "text;label\na;1\n", "has no column 'text', only text;label"),
        ("csv", "text,text,label\na,b,1\n", "has more than one column 'text'"),
        ("csv", "text,label\na,1\nb\n", "is no CSV table (line 3: 1 cells, 2 columns)"),
        ("csv", "text,label\na,1\nb,c,1\n", "is no CSV table (line 3: 3 cells, 2 columns)"),
        ("csv", 'text,label\n"a,1\nb,1\n', "is no CSV table"),
        ("csv", b"text,label\n\xff,1\n", "is not UTF-8 text"),
        ("jsonl", '{"text": "a", "label": 1}\n{"text": "b", "la', "is no JSON (line 2: "),
        ("jsonl", '{"text": "a"}\n', "has no column 'label', only text"),
        ("jsonl", '["a", 1]\n["b", 0]\n', "is no JSON"),
        ("jsonl", '"a"\n', "holds no objects (line 1 is a str)"),
        ("json", '[{"text": "a", "label": 1}', "is no JSON"),
        ("json", "[1]", "holds no objects (entry 1 is a int)"),
        ("json", "[" * 100_000, "is no JSON"),
        ("jsonl", b"\xff\xfe", "is not UTF-8 text"),
        ("parquet", "text,label\na,1\n", "is damaged or no Parquet file"),
    ],
)
def test_a_file_that_is_none_is_named_with_what_to_do(
    ending: str, content: str | bytes, complaint: str, hub: Path
) -> None:
    path = _texts(hub, ending, content)
    with pytest.raises(TaskError) as error:
        load_task("imdb").prepare()
    message = str(error.value)
    assert message.startswith(f"imdb: {path} {complaint.split(' ')[0]}")
    assert complaint in message
    assert "hf download --repo-type dataset stanfordnlp/imdb" in message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('{"text": null, "label": 1}', "the column 'text' has null, expected text"),
        ('{"text": 7, "label": 1}', "the column 'text' has int, expected text"),
        ('{"label": 1}', "the column 'text' has null, expected text"),
        ('{"text": "b", "label": [1]}', "the column 'label' has list, expected label"),
        ('{"text": "\\ud800", "label": 1}', "no Unicode text"),
    ],
)
def test_a_row_that_is_none_is_named(row: str, complaint: str, hub: Path) -> None:
    path = _texts(hub, "jsonl", "\n".join(['{"text": "a", "label": 0}'] * 250 + [row]))
    with pytest.raises(TaskError) as error:
        load_task("imdb").prepare()
    message = str(error.value)
    assert message.startswith("imdb: row 250 of 'train' in stanfordnlp/imdb is invalid")
    assert f"({path.name}, line 251: {complaint}" in message
    assert "hf download" in message
    assert message.isprintable()


def test_text_that_is_no_utf8_in_parquet_is_named(hub: Path) -> None:
    path = _texts(hub, "parquet", "")
    good = pa.array([b"a", b"b\xff", b"c"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, good.buffers())
    pq.write_table(pa.table({"text": text, "label": [0, 1, 0]}), path)
    with pytest.raises(TaskError, match=r"row 1 of 'train' .*train-0.parquet: .*utf-8"):
        load_task("imdb").prepare()


def test_other_types_of_parquet_are_the_same_rows(hub: Path) -> None:
    first = write(hub, "ecthr", 40)
    expected = load_task("ecthr").splits(64, 0)
    kinds = [pa.large_list(pa.large_string()), pa.large_list(pa.int8())]
    for file in first.parent.glob("*.parquet"):
        table = pq.read_table(file).select(["labels", "text"])
        schema = pa.schema([("labels", kinds[1]), ("text", kinds[0])])
        pq.write_table(table.cast(schema), file)
    found = load_task("ecthr").splits(64, 0)
    assert [list(part) for part in found] == [list(part) for part in expected]


def _kept(cache: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (cache / "hub").glob("*.arrow"))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_books_that_are_not_read_are_not_converted(ending: str, hub: Path, own_cache: Path) -> None:
    """The books are fields of a column that is read."""
    first = write(hub, "narrativeqa", 20)
    expected = load_task("narrativeqa").splits(256, 0)
    for part in ("train", "validation", "test"):
        draw = random.Random(f"narrativeqa {part}")
        rows: list[dict[str, Any]] = [ROWS["narrativeqa"](i, draw) for i in range(20)]
        for row in rows:
            row["document"] |= {"text": "A WHOLE BOOK " * 10_000, "word_count": 30_000}
            row["document"]["summary"] |= {"tokens": ["A", "TOKEN"] * 100, "url": "u"}
            for answer in row["answers"]:
                answer["tokens"] = ["A", "TOKEN"]
        for file in first.parent.glob(f"{part}-*"):
            file.unlink()
        if ending == "parquet":
            write_rows(first.parent / f"{part}-0.parquet", rows)
        else:
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (first.parent / f"{part}-0.jsonl").write_text(lines, encoding="utf-8")
    before = len(_kept(own_cache))
    found = load_task("narrativeqa").splits(256, 0)
    assert [list(part) for part in found] == [list(part) for part in expected]
    kept = _kept(own_cache)
    assert b"WHOLE BOOK" not in kept
    assert b"TOKEN" not in kept
    assert len(kept) < 2.2 * before


@pytest.mark.parametrize("name", ROWS)
def test_no_task_converts_other_columns(name: str, hub: Path, own_cache: Path) -> None:
    first = write(hub, name, 40)
    for file in first.parent.glob("*.parquet"):
        table = pq.read_table(file)
        more = pa.array(["NOT NEEDED"] * len(table))
        pq.write_table(table.append_column("another", more), file)
    load_task(name).prepare()
    assert b"NOT NEEDED" not in _kept(own_cache)


def test_only_the_needed_columns_of_parquet_are_decoded(tmp_path: Path) -> None:
    """The pages of the others may be damaged."""
    columns = Columns(HUB["narrativeqa"].columns, Labels(()))
    rows = [ROWS["narrativeqa"](i, random.Random(i)) for i in range(50)]
    for number, row in enumerate(rows):
        row["document"]["text"] = f"A WHOLE BOOK {number}"
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    with pq.ParquetFile(path) as file:
        leaves = [file.schema.column(n).path for n in range(len(file.schema.names))]
        column = file.metadata.row_group(0).column(leaves.index("document.text"))
        start, size = column.dictionary_page_offset, column.total_compressed_size
    assert _needed(leaves, columns) == [
        "document.summary.text",
        "question.text",
        "answers.list.element.text",
    ]
    data = bytearray(path.read_bytes())
    data[start : start + size] = b"\xff" * size
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"."):
        pq.read_table(path)
    convert("parquet", [path], columns, tmp_path / "a.arrow")
    assert b"Mary, of course" in (tmp_path / "a.arrow").read_bytes()


def test_a_conversion_that_is_not_whole_is_made_again(hub: Path, own_cache: Path) -> None:
    write(hub, "imdb", 40)
    before = [list(part) for part in load_task("imdb").splits(64, 0)]
    for path in (own_cache / "hub").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert [list(part) for part in load_task("imdb").splits(64, 0)] == before


def test_a_cache_that_cannot_be_written_is_named(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(hub, "imdb", 40)
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "file"))
    with pytest.raises(TaskError, match=rf"^imdb: .*{tmp_path}/file .*BENCH_LONG_CACHE"):
        load_task("imdb").prepare()


@pytest.mark.parametrize("name", ["train-00.jsonl", "train.csv", "train/0.parquet"])
def test_a_split_in_two_places_is_refused(name: str, hub: Path) -> None:
    """Which one is read would depend on the format or the form of its name."""
    path = _texts(hub, "csv", "text,label\na,0\nb,1\n")
    load_task("imdb").prepare()
    other = path.parent / name
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(path.read_bytes())
    with pytest.raises(TaskError) as refused:
        load_task("imdb").prepare()
    assert str(path.name) in str(refused.value)
    assert name in str(refused.value)
    assert "move one of them away" in str(refused.value)
