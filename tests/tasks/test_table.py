"""docs/tasks.md lists every task with its metadata, every task type and every metric."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.metrics import METRICS
from tasks import discover
from tasks.table import main, tasks_page
from tasks.types import TASK_TYPES

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"


def _tables() -> dict[str, list[list[str]]]:
    """The cells of each row by heading, without the number of tasks in it."""
    tables: dict[str, list[list[str]]] = {}
    for line in tasks_page().splitlines():
        if line.startswith("## "):
            rows = tables.setdefault(line[3:].partition(" (")[0], [])
        elif line.startswith("| `"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return tables


def _task_tables() -> dict[str, list[list[str]]]:
    return {title: rows for title, rows in _tables().items() if title in TASK_TYPES}


def test_every_task_type_has_a_row() -> None:
    rows = {row[0].strip("`"): row[1:] for row in _tables()["Task types"]}
    assert list(rows) == list(TASK_TYPES)
    assert rows["pair"][1:] == [
        "a linear head",
        "`accuracy`, `macro_f1`, `matthews`",
        "`macro_f1`",
        "`second`",
    ]
    assert rows["language_modelling"][1:] == [
        "the language model", "`loss`, `token_accuracy`", "`token_accuracy`", "",
    ]  # fmt: skip


def test_every_metric_has_a_row() -> None:
    rows = {row[0].strip("`"): row[1:] for row in _tables()["Metrics"]}
    assert list(rows) == list(METRICS)
    assert rows["accuracy"] == ["accuracy", "0", "1", "higher", "Wilson"]
    assert rows["loss"] == ["loss (nats per token)", "0", "", "lower", "bootstrap"]


def test_every_task_has_a_row_with_its_metadata() -> None:
    found = discover()
    names = []
    for family, rows in _task_tables().items():
        assert rows == sorted(rows)
        for name, title, metric, source, licence, lengths, tested in rows:
            metadata = found[name.strip("`")].metadata
            names.append(metadata.name)
            assert (family, title, source) == (metadata.family, metadata.title, metadata.source)
            assert (metric, licence) == (metadata.metric, metadata.licence)
            assert lengths == ", ".join(str(length) for length in metadata.lengths)
            schema_only = metadata.schema_only
            assert tested == ("columns only" if schema_only else "real data")
    assert sorted(names) == sorted(found)


def test_the_heading_counts_the_tasks() -> None:
    tables = _task_tables()
    for line in tasks_page().splitlines():
        if line.startswith("## ") and line[3:] not in ("Metrics", "Task types"):
            assert line == f"## {line.split()[1]} ({len(tables[line.split()[1]])})"


def test_what_was_only_tested_on_its_columns_is_marked() -> None:
    tested = {row[0].strip("`"): row[-1] for rows in _task_tables().values() for row in rows}
    assert tested["imdb"] == "columns only"
    assert tested["linux"] == "real data"


def test_a_cell_cannot_break_the_table() -> None:
    metadata = discover()["listops"].metadata
    odd = metadata.model_copy(update={"title": "a | b\n<script> \\"})
    rows = [line for line in tasks_page([odd]).splitlines() if line.startswith("| ")]
    assert "a \\| b &lt;script&gt; \\\\" in rows[2]
    assert len({line.count(" | ") for line in rows[:3]}) == 1
    assert len(rows) == 3 + 2 + len(TASK_TYPES) + 2 + len(METRICS)


def test_the_page_in_the_repository_is_up_to_date() -> None:
    assert main(["--check", str(PAGE)]) == 0


@pytest.mark.parametrize("old", [None, "an old page\n"])
def test_the_page_is_written_and_checked(
    tmp_path: Path, old: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "tasks.md"
    if old is not None:
        page.write_text(old)
    assert main(["--check", str(page)]) == 1
    assert str(page) in capsys.readouterr().err
    assert (page.read_text() if page.exists() else None) == old
    assert main([str(page)]) == 0
    assert page.read_text() == tasks_page()
    assert main(["--check", str(page)]) == 0
