"""Labels of the hub's files: their names and their order are the task's, or the file is refused."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import TaskError, load_task
from tasks.lib.labels import Labels
from tests.tasks.hub_folder import HUB, ROWS, write

FALSE, TRUE = ("False", "True")
PUBLISHED: dict[str, tuple[str, ...]] = {
    "imdb": ("neg", "pos"),
    "lra_text": ("neg", "pos"),
    "arxiv": load_task("arxiv").metadata.labels,
    "ecthr": ("2", "3", "5", "6", "8", "9", "10", "11", "14", "P1-1"),
    "glue_cola": ("unacceptable", "acceptable"),
    "glue_sst2": ("negative", "positive"),
    "glue_mrpc": ("not_equivalent", "equivalent"),
    "glue_qqp": ("not_duplicate", "duplicate"),
    "glue_mnli": ("entailment", "neutral", "contradiction"),
    "glue_qnli": ("entailment", "not_entailment"),
    "glue_rte": ("entailment", "not_entailment"),
    "glue_wnli": ("not_entailment", "entailment"),
    "superglue_boolq": (FALSE, TRUE),
    "superglue_copa": ("choice1", "choice2"),
    "superglue_multirc": (FALSE, TRUE),
    "superglue_wic": (FALSE, TRUE),
    "superglue_wsc": (FALSE, TRUE),
}
"""The names in the repositories' schemas, by task."""

LABELLED = [name for name in PUBLISHED if name != "lra_text"]


def _named(folder: Path, name: str, names: tuple[str, ...], part: int = 0) -> Path:
    """Write a task's repository with names of the classes in the schema of one split's files."""
    source = "imdb" if name == "lra_text" else name
    path = write(folder, source, 40)
    head = "labels" if name == "ecthr" else "label"
    feature: Any = {"names": list(names), "_type": "ClassLabel"}
    if head == "labels":
        feature = {"feature": feature, "length": -1, "_type": "Sequence"}
    known = json.dumps({"info": {"features": {head: feature}}}).encode()
    for file in path.parent.glob(f"{HUB[name].parts[part]}-*"):
        table = pq.read_table(file)
        pq.write_table(table.replace_schema_metadata({b"huggingface": known}), file)
    return path


def test_every_task_with_labels_is_here() -> None:
    having = {n for n, task in HUB.items() if any(c.startswith("label") for c in task.columns)}
    having -= {"glue_stsb"}  # its label is a number
    assert having - {"lra_image"} == set(PUBLISHED)  # of which test_lra.py writes the names


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_names_are_known(name: str, hub: Path) -> None:
    _named(hub, name, PUBLISHED[name])
    load_task(name).prepare()


@pytest.mark.parametrize("part", [0, 2])
@pytest.mark.parametrize("name", PUBLISHED)
def test_another_order_is_refused(name: str, part: int, hub: Path) -> None:
    """As it was for RTE alone: the scores would be those of other labels."""
    names = PUBLISHED[name][::-1]
    _named(hub, name, names, part)
    with pytest.raises(TaskError) as error:
        load_task(name).prepare()
    message = str(error.value)
    assert message.startswith(f"{name}: {hub}")
    assert f"{HUB[name].parts[part]}-0000" in message
    assert f"otherwise: {', '.join(names)}; expected: " in message
    assert "hf download" in message


@pytest.mark.parametrize("names", [("bad", "good"), ("neg", "pos", "unsup"), ("pos",), ("1", "0")])
def test_other_names_are_refused(names: tuple[str, ...], hub: Path) -> None:
    _named(hub, "imdb", names)
    with pytest.raises(TaskError, match=f"labels.* {', '.join(names)}; expected: negative, pos"):
        load_task("imdb").prepare()


def test_names_that_are_the_numbers_say_nothing(hub: Path) -> None:
    _named(hub, "imdb", ("0", "1"))
    load_task("imdb").prepare()


def test_the_datasets_library_writes_names_where_they_are_looked_for(hub: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value
    from datasets import List as Listed

    path = write(hub, "ecthr", 40)
    rows = pq.read_table(path).to_pylist()
    names = list(PUBLISHED["ecthr"])
    for order, fails in ((names, False), (names[::-1], True)):
        features = Features(
            {"text": Listed(Value("string")), "labels": Listed(ClassLabel(names=order))}
        )
        Dataset.from_list(rows, features=features).to_parquet(path)
        if not fails:
            load_task("ecthr").prepare()
            continue
        with pytest.raises(TaskError, match="numbers its labels otherwise: P1-1, 14"):
            load_task("ecthr").prepare()


def _encoded(kind: str, rows: list[dict[str, Any]], path: Path) -> None:
    if kind == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif kind == "dictionary":
        table = pa.Table.from_pylist(rows)
        place = table.schema.get_field_index("label")
        column = table["label"].dictionary_encode()
        pq.write_table(table.set_column(place, "label", column), path)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)


def _written(folder: Path, name: str, kind: str, label: Callable[[int], Any]) -> None:
    """A repository whose files hold labels in another form."""
    path = write(folder, name, 40)
    for part in dict.fromkeys(filter(None, HUB[name].parts)):
        draw = random.Random(f"{name} {part}")
        rows = [ROWS[name](i, draw) for i in range(40)]
        for file in path.parent.glob(f"{part}-*"):
            file.unlink()
        ending = "parquet" if kind == "dictionary" else kind
        changed = [{**row, "label": label(row["label"])} for row in rows]
        _encoded(kind, changed, path.parent / f"{part}-0.{ending}")


FORMS: list[tuple[str, Callable[[int], Any]]] = [
    ("glue_rte", lambda n: ("entailment", "not_entailment")[n]),
    ("glue_rte", lambda n: ("Entailment", "not entailment")[n]),
    ("glue_rte", lambda n: ("entailment", "not-entailment ")[n]),
    ("glue_rte", float),
    ("glue_rte", str),
    ("glue_rte", lambda n: f"{n}.0"),
    ("imdb", lambda n: ("neg", "pos")[n]),
    ("superglue_boolq", lambda n: bool(n)),
    ("superglue_boolq", lambda n: ("no", "yes")[n]),
    ("superglue_boolq", lambda n: ("false", "true")[n]),
    ("superglue_copa", lambda n: ("choice1", "choice2")[n]),
]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "dictionary"])
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_labels_by_name_and_as_other_numbers(
    name: str, form: Callable[[int], Any], kind: str, hub: Path
) -> None:
    write(hub, name, 40)
    expected = load_task(name).splits(64, 0)
    _written(hub, name, kind, form)
    found = load_task(name).splits(64, 0)
    assert [list(part) for part in found] == [list(part) for part in expected]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("value", [-1, 2, 0.5, float("nan"), "-1", "", "maybe", True, None, "nan"])
def test_one_label_that_is_none_is_named_before_a_sweep(value: Any, kind: str, hub: Path) -> None:
    """`true` is no label of RTE, where 1 means that the text does not imply the sentence."""
    places = iter(range(10**6))
    odd = type(value) if value is not None else int

    def label(number: int) -> Any:
        return value if next(places) == 57 else odd(number) if kind == "parquet" else number

    if kind == "parquet" and isinstance(value, bool | str):
        pytest.skip("a column of Parquet has one type")
    _written(hub, "glue_rte", kind, label)
    with pytest.raises(TaskError) as error:
        load_task("glue_rte").prepare()
    message = str(error.value)
    assert message.startswith("glue_rte: row 17 of 'validation' in nyu-mll/glue is invalid")
    assert f"validation-0.{kind}" in message
    if kind != "parquet":
        assert f"line {19 if kind == 'csv' else 18}" in message
    assert "label" in message
    assert "hf download" in message
    assert message.isprintable()


def test_names_that_are_digits_are_no_numbers() -> None:
    labels = Labels(("2", "3", "5"))
    assert [labels.number(value) for value in ("2", "5", 2, 0)] == [0, 2, 2, 0]
    for value in ("0", "1", "2.0", 3, 10**400):
        with pytest.raises(ValueError, match="is none of 0 to 2"):
            labels.number(value)
