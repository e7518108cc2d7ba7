"""Small folders in the hub's own format, for the tests of what reads them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks import discover
from tasks.lib.hub import _HubTask

Row = dict[str, Any]


def _words(draw: random.Random, size: int = 40) -> str:
    return " ".join(f"w{draw.randrange(10**6)}" for _ in range(size))


def text_row(i: int, draw: random.Random) -> Row:
    return {"text": _words(draw), "label": i % 2}


def _paper(i: int, draw: random.Random) -> Row:
    return {"text": _words(draw), "label": i % 11 if i % 3 else 0}


def _case(i: int, draw: random.Random) -> Row:
    labels = [k for k in range(10) if (i + k) % 5 == 0 or k == i % 3 == 2]
    return {"text": [_words(draw), _words(draw)], "labels": labels[::-1] if i % 7 else []}


def _exam(i: int, draw: random.Random) -> Row:
    return {
        "example_id": f"high{i}.txt",
        "article": _words(draw),
        "answer": "ABCD"[i % 4],
        "question": "What is the _ ?",
        "options": ["a", "b", "c", "d"],
    }


def _two(first: str, second: str, labels: int = 2, **others: Any) -> Callable[..., Row]:
    def row(i: int, draw: random.Random) -> Row:
        pair = {first: _words(draw), second: _words(draw)}
        return {**pair, **others, "label": i % labels, "idx": i}

    return row


def _uneven(row: Callable[..., Row], text: str) -> Callable[..., Row]:
    """Two thirds of the rows are labelled 1."""
    return lambda i, draw: {**row(i, draw), "label": int(i % 3 > 0), text: _words(draw)}


def _one(i: int, draw: random.Random) -> Row:
    return {"sentence": _words(draw), "label": i % 2, "idx": i}


def _similarity(i: int, draw: random.Random) -> Row:
    return {**_two("sentence1", "sentence2")(i, draw), "label": i % 26 / 5}


def _copa(i: int, draw: random.Random) -> Row:
    return {
        "premise": _words(draw),
        "choice1": "this",
        "choice2": "that",
        "question": ("cause", "effect")[i // 2 % 2],
        "idx": i,
        "label": i % 2,
    }


def _book(i: int, draw: random.Random) -> Row:
    return {"short_book_title": f"Book {i}", "publication_date": 1900, "text": _words(draw)}


def _story(i: int, draw: random.Random) -> Row:
    return {
        "document": {"id": str(i), "kind": "gutenberg", "summary": {"text": _words(draw)}},
        "question": {"text": "Who?"},
        "answers": [{"text": "Mary"}, {"text": "Mary, of course"}],
    }


ROWS: dict[str, Callable[[int, random.Random], Row]] = {
    "imdb": text_row,
    "arxiv": _paper,
    "ecthr": _case,
    "race": _exam,
    "narrativeqa": _story,
    "pg19": _book,
    "glue_cola": _uneven(_one, "sentence"),
    "glue_sst2": _one,
    "glue_mrpc": _uneven(_two("sentence1", "sentence2"), "sentence1"),
    "glue_stsb": _similarity,
    "glue_qqp": _uneven(_two("question1", "question2"), "question1"),
    "glue_mnli": _two("premise", "hypothesis", labels=3),
    "glue_qnli": _two("question", "sentence"),
    "glue_rte": _two("sentence1", "sentence2"),
    "glue_wnli": _two("sentence1", "sentence2"),
    "superglue_boolq": _uneven(_two("passage", "question"), "passage"),
    "superglue_copa": _copa,
    "superglue_multirc": _two("paragraph", "question", answer="an answer"),
    "superglue_wic": _two("sentence1", "sentence2", word="bank"),
    "superglue_wsc": _two("text", "span1_text", span2_text="it"),
}
"""Rows with the columns that the repositories have, by task."""

HUB = {name: task for name, task in discover().items() if issubclass(task, _HubTask)}


def write(folder: Path, name: str, rows: int = 200, skip: int = 0) -> Path:
    """The repository of a task as `hf download` leaves it; returns the first file of train."""
    task = HUB[name]
    base = folder / task.repository / (task.configuration or "data")
    base.mkdir(parents=True, exist_ok=True)
    for part in dict.fromkeys(filter(None, task.parts)):
        draw = random.Random(f"{name} {part}")
        made = [ROWS[name](i, draw) for i in range(rows)]
        for shard, start in enumerate((0, rows // 2)):
            table = pa.Table.from_pylist(made[start : start + rows // 2])
            pq.write_table(table, base / f"{part}-0000{shard}-of-00002.parquet")
    return base / f"{task.parts[0]}-00000-of-00002.parquet"


def write_rows(path: Path, rows: list[Row]) -> None:
    """One file of a repository."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
