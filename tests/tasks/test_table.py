"""The README's table names every plug-in and says what was never read."""

from __future__ import annotations

from tasks import discover
from tasks.table import task_table
from tests.tasks.test_conformance import ELSEWHERE


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
    assert schema == ELSEWHERE - {"linux"}


def test_a_cell_cannot_break_the_table() -> None:
    metadata = discover()["listops"].metadata
    odd = metadata.model_copy(update={"title": "a | b\n<script> \\"})
    line = task_table([odd]).splitlines()[2]
    assert "a \\| b &lt;script&gt; \\\\" in line
    assert len(task_table([odd]).splitlines()) == 3
