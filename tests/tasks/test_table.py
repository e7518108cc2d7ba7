"""The README's table names every plug-in and says what was never read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks import discover
from tasks.lib.rows import SCHEMA_ONLY
from tasks.table import BEGIN, END, main, task_table, with_table

README = Path(__file__).parents[2] / "README.md"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_plugin_has_its_line() -> None:
    found = discover()
    head, rule, *lines = task_table().splitlines()
    assert [line.split("`")[1] for line in lines] == sorted(found)
    assert len({line.count(" | ") for line in (head, rule, *lines)}) == 1
    for line in lines:
        name, family, title, source, licence, lengths, checked = _cells(line)
        metadata = found[name.strip("`")].metadata
        assert (family, title, source) == (metadata.family, metadata.title, metadata.source)
        assert licence == metadata.licence
        assert lengths == ", ".join(str(length) for length in metadata.lengths)
        assert checked in ("real data", "its schema only")


def test_what_was_only_checked_on_its_schema_is_said() -> None:
    lines = {line.split("`")[1]: line for line in task_table().splitlines()[2:]}
    schema = {name for name, line in lines.items() if line.endswith("| its schema only |")}
    found = discover()
    assert schema == {name for name in found if SCHEMA_ONLY in found[name].metadata.description}
    assert "imdb" in schema
    assert "linux" not in schema


def test_a_cell_cannot_break_the_table() -> None:
    metadata = discover()["listops"].metadata
    odd = metadata.model_copy(update={"title": "a | b\n<script> \\"})
    line = task_table([odd]).splitlines()[2]
    assert "a \\| b &lt;script&gt; \\\\" in line
    assert len(task_table([odd]).splitlines()) == 3


def test_the_readmes_table_is_written_where_it_stands(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    old = with_table(README.read_text(), "| an old table |\n")
    copy.write_text(old)
    assert main(["--check", str(copy)]) == 1
    assert copy.read_text() == old
    assert main([str(copy)]) == 0
    assert copy.read_text() == with_table(README.read_text(), task_table())
    assert main(["--check", str(copy)]) == 0


@pytest.mark.parametrize("text", ["", BEGIN, END, END + BEGIN, 2 * (BEGIN + END)])
def test_a_document_without_a_place_for_it_is_left_alone(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(text)
    assert main([str(copy)]) == 2
    assert "expected one line" in capsys.readouterr().err
    assert copy.read_text() == text
