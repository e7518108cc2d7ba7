"""Every hub loader on a small folder in the hub's own format."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import Splits, TaskError, discover, load_task
from tasks.base import Example
from tasks.conformance import violations
from tasks.lib.hub import _HubTask
from tasks.lib.rows import Rows, shuffled
from tests.tasks.hub_folder import HUB, ROWS, Row, text_row, write, write_rows


def test_every_hub_task_is_read_in_some_test() -> None:
    """By its rows here, or in a test of its own that loads it."""
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert set(ROWS) <= set(HUB)
    assert [name for name in HUB if name not in ROWS and f'load_task("{name}")' not in tests] == []


@pytest.mark.parametrize("name", ROWS)
def test_a_small_folder_in_the_format_of_the_hub(name: str, hub: Path) -> None:
    write(hub, name)
    task = load_task(name)
    assert task.metadata.needs_network
    task.prepare()
    assert violations(task, max(64, task.metadata.min_length)) == []


@pytest.mark.parametrize("name", ROWS)
def test_without_data_one_line_says_how_to_get_it(name: str, hub: Path) -> None:
    task = HUB[name]
    with pytest.raises(TaskError) as error:
        load_task(name).prepare()
    message = str(error.value)
    assert message.startswith(f"{name}: ")
    assert f"hf download --repo-type dataset {task.repository}" in message
    assert (f"--revision {task.revision}" in message) == bool(task.revision)
    assert (f"--include '{task.configuration}/*'" in message) == bool(task.configuration)
    assert "$BENCH_LONG_HUB" in message
    assert "\n" not in message


def _splits(name: str, length: int = 128, seed: int = 0) -> Splits:
    return load_task(name).splits(length, seed)


def test_what_an_example_holds(hub: Path) -> None:
    for name in ("ecthr", "race", "superglue_copa", "superglue_wic", "superglue_multirc"):
        write(hub, name)

    def row(name: str, part: str, example: Example) -> Row:
        draw = random.Random(f"{name} {part}")
        return [ROWS[name](i, draw) for i in range(200)][int(example.id.split("-")[1])]

    case = _splits("ecthr").test[0]
    facts = row("ecthr", "test", case)
    assert case.text == "\n".join(facts["text"])
    assert case.labels == tuple(sorted(facts["labels"]))
    exam = _splits("race").validation[3]
    asked = row("race", "validation", exam)
    assert exam[1:4] == (asked["article"], "ABCD".index(asked["answer"]), "What is the _ ?")
    assert exam.choices == ("a", "b", "c", "d")
    copa = _splits("superglue_copa").test[0]
    cause = row("superglue_copa", "validation", copa)["question"] == "cause"
    assert copa.second == ("What was the cause?" if cause else "What happened then?")
    assert copa.choices == ("this", "that")
    assert _splits("superglue_wic").test[0].text.startswith("bank: w")
    assert _splits("superglue_multirc").test[0].second.endswith(" an answer")


def test_validation_is_cut_from_train_by_text(hub: Path) -> None:
    path = write(hub, "imdb")
    rows = pq.read_table(path).to_pylist()
    twice = [{**row, "label": 1 - row["label"]} for row in rows]
    pq.write_table(pa.Table.from_pylist([*rows, *twice]), path)
    splits = _splits("imdb")
    assert {e.id.split("-")[0] for e in splits.validation} == {"train"}
    assert 30 <= len(splits.validation) <= 32
    assert len(splits.train) + len(splits.validation) == 300
    assert len(splits.test) == 200
    assert not {e.text for e in splits.train} & {e.text for e in splits.validation}


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv"])
@pytest.mark.parametrize("layout", ["{}-1.{}", "{}.{}", "{}/0.{}"])
def test_other_formats_and_layouts(ending: str, layout: str, hub: Path) -> None:
    write(hub, "imdb", 40)
    expected = _splits("imdb")
    folder = hub / "stanfordnlp" / "imdb" / "plain_text"
    for part in ("train", "test"):
        draw = random.Random(f"imdb {part}")
        rows = [text_row(i, draw) for i in range(40)]
        for path in folder.glob(f"{part}-*.parquet"):
            path.unlink()
        path = folder / layout.format(part, ending)
        path.parent.mkdir(exist_ok=True)
        lines = [json.dumps(row) for row in rows]
        if ending == "json":
            lines = [f"[{','.join(lines)}]"]
        if ending == "csv":
            lines = ["text,label", *(f"{row['text']},{row['label']}" for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = _splits("imdb")
    assert [list(part) for part in found] == [list(part) for part in expected]


def test_the_local_cache_of_the_hub_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    """The folders that `hf download` makes, and no variable set."""
    monkeypatch.delenv("BENCH_LONG_HUB", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    revision = HUB["imdb"].revision
    assert revision
    place = tmp_path / "datasets--stanfordnlp--imdb" / "snapshots"
    write(place, "imdb")
    (place / "stanfordnlp" / "imdb").rename(place / revision)
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    task = load_task("imdb")
    task.prepare()
    assert len(task.splits(128, 0).test) == 200


def test_rows_are_read_as_they_are_asked_for() -> None:
    read: list[int] = []

    def make(number: int) -> Example:
        read.append(number)
        return Example(str(number), "x", 0)

    order = shuffled(range(1000), 1)
    rows = Rows(make, order)
    assert len(rows) == 1000
    assert read == []
    assert [e.id for e in rows[2:5]] == [str(order[2]), str(order[3]), str(order[4])]
    assert rows[-1].id == str(order[-1])
    assert read == [*order[2:5], order[-1]]
    assert sorted(order) == list(range(1000))
    assert order == shuffled(range(1000), 1) != shuffled(range(1000), 2)
    with pytest.raises(IndexError):
        rows[1000]


@pytest.mark.slow
def test_a_hundred_thousand_documents_are_not_in_memory(hub: Path) -> None:
    """Half a gigabyte on disk: what Python and Arrow allocate for reading some of it is a tenth."""
    import tracemalloc

    base = hub / "stanfordnlp" / "imdb" / "plain_text"
    base.mkdir(parents=True)
    draw = random.Random(0)
    for part, rows in (("train", 100_000), ("test", 2_000)):
        texts = [f"{i} {draw.random()} {'word ' * 1000}" for i in range(rows)]
        table = pa.table({"text": texts, "label": [i % 2 for i in range(rows)]})
        pq.write_table(table, base / f"{part}-00000-of-00001.parquet", row_group_size=1000)
    del texts, table
    load_task("imdb").prepare()
    pool = pa.default_memory_pool()
    tracemalloc.start()
    splits = _splits("imdb")
    assert len(splits.train) == 98_000
    assert len(splits.train[:1000]) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert pool.bytes_allocated() < 50e6


def test_data_without_a_commit_is_pinned_by_its_files(hub: Path) -> None:
    first = write(hub, "narrativeqa")
    before = load_task("narrativeqa").data_version()
    assert before == load_task("narrativeqa").data_version()
    assert before.startswith("files:")
    write_rows(first, [ROWS["narrativeqa"](i, random.Random(1)) for i in range(3)])
    assert load_task("narrativeqa").data_version() != before
    write(hub, "race")
    assert load_task("race").data_version().startswith("files:")


def test_a_published_split_that_is_not_the_test_split_but_the_test_here_is_named() -> None:
    """In the source, which docs/tasks.md, the card and the report show."""
    tested = {
        name: task.parts[2]
        for name, task in discover().items()
        if issubclass(task, _HubTask) and task.parts[2] != "test"
    }
    assert len(tested) == 14  # nine of GLUE, five of SuperGLUE
    page = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")
    for name, task in discover().items():
        told = f"tested on its published {tested.get(name)} split"
        assert (told in task.metadata.source) == (name in tested)
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert (told in row) == (name in tested)
