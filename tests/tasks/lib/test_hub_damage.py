"""Each way a folder of the hub can be wrong is named in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import TaskError, load_task
from tasks.lib.hub import _line
from tests.tasks.hub_folder import write


def _other_columns(path: Path) -> None:
    table = pq.read_table(path).rename_columns(["review", "label"])
    for file in path.parent.glob("train-*"):
        pq.write_table(table, file)


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


def _no_parquet(path: Path) -> None:
    path.write_text("<html>not found</html>\n\x1b[31mline two", encoding="utf-8")


def _moved(path: Path) -> None:
    path.parent.rename(path.parent.parent / "other")


def _script(path: Path) -> None:
    _moved(path)
    (path.parent.parent / "imdb.py").write_text("raise SystemExit('run')", encoding="utf-8")


def _hidden_labels(path: Path) -> None:
    rows = [{**row, "label": -1} for row in pq.read_table(path).to_pylist()]
    for file in path.parent.glob("train-*"):
        pq.write_table(pa.Table.from_pylist(rows), file)


def _half_labels(path: Path) -> None:
    rows = [{**row, "label": 0.5} for row in pq.read_table(path).to_pylist()]
    for file in path.parent.glob("train-*"):
        pq.write_table(pa.Table.from_pylist(rows), file)


def _no_text(path: Path) -> None:
    rows = [{"text": None, "label": 1} for _ in range(100)]
    for file in path.parent.glob("test-*"):
        pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), file)


def _empty(path: Path) -> None:
    for file in path.parent.glob("test-*"):
        file.unlink()
    (path.parent / "test-0.csv").write_text("text,label\n", encoding="utf-8")


def _other_order(path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features(
        {"text": Value("string"), "label": ClassLabel(names=["positive", "negative"])}
    )
    rows = [{"text": f"text {i}", "label": i % 2} for i in range(100)]
    for file in path.parent.glob("train-*"):
        Dataset.from_list(rows, features=features).to_parquet(file)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_other_columns, "train-00000-of-00002.parquet has no column 'text', only review, label"),
        (_half, "train-00000-of-00002.parquet is damaged or no Parquet file"),
        (_no_parquet, "train-00000-of-00002.parquet is damaged or no Parquet file"),
        (_moved, "stanfordnlp/imdb has no plain_text/train-*.parquet, nor .jsonl"),
        (_script, "(imdb.py, a loading script, is not run)"),
        (_hidden_labels, "the label -1 is none of 0 to 1"),
        (_half_labels, "the label 0.5 is none of 0 to 1"),
        (_no_text, "of 'test' in stanfordnlp/imdb is invalid"),
        (_empty, "test-0.csv has no rows: run `hf download"),
        (
            _other_order,
            "numbers its labels otherwise: positive, negative; expected: negative, positive: run",
        ),
    ],
)
def test_what_is_wrong_is_named(
    damage: Callable[[Path], None], complaint: str, hub: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(write(hub, "imdb"))
    capfd.readouterr()  # bars of the library that wrote the files
    with pytest.raises(TaskError) as error:
        load_task("imdb").prepare()
    assert complaint in str(error.value)
    assert str(error.value).isprintable()
    assert capfd.readouterr() == ("", "")


def test_what_an_error_says_is_made_harmless() -> None:
    assert _line(ValueError("\x1b[31mred\nsecond")) == "?[31mred"
    assert _line(ValueError()) == "ValueError"
    assert len(_line(ValueError("x" * 1000))) == 200
