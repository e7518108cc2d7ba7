"""Text of result files is shown as it is: none of it becomes markup, a link or a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from reports.blocks import Table
from reports.page import build_report
from reports.sections.runs import failed_cells
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import loaded
from tests.reports.made import evaluation_cells, loss_cells, text_cell
from tests.reports.pages import check_harmless, read, section

pytestmark = pytest.mark.filterwarnings("error")


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'> {{7*7}} ${{7*7}} $x$ {% raw %}"


def poisoned(value: Any, key: str = "") -> Any:
    """Every text replaced, but for those that decide what kind of cell it is."""
    if key == "levers":  # the others have a fixed set of values
        return {**value, "attention": HOSTILE}
    if isinstance(value, dict):
        return {k: poisoned(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [poisoned(v) for v in value]
    keep = ("id", "kind", "status", "method", "placement", "metric", "dtype", "device")
    return f"{HOSTILE} {key}" if isinstance(value, str) and key not in keep else value


def test_no_text_of_a_file_becomes_a_part_of_the_page(tmp_path: Path) -> None:
    made = [make_cell(m, length=n) for m in ("lora", "ssmlora", "tfidf") for n in (64, 128)]
    made += [make_cell("ssmlora", 0.5, 64, status="oom"), make_cell(kind="probe")]
    cells = [poisoned(cell) for cell in made]
    cells[6]["error"]["log"] = "../../../../etc/passwd"
    cells[6]["cell"]["method"] = "ssmlora"
    for cell in cells:
        cell["environment"][HOSTILE] = HOSTILE
        cell["cell"]["placement"] = HOSTILE
    write_run(tmp_path, cells, name=HOSTILE)
    (tmp_path / "sweep.yaml").write_text(f"name: {HOSTILE}\x00</pre>")
    (tmp_path / "cells" / "<b>x.json").write_text("{")
    page = build_report([tmp_path], tmp_path / "report")
    root = read(page)
    check_harmless(root)
    assert HOSTILE in root.text
    assert "49" not in root.all("h1")[0].text
    assert root.all("h1")[0].text == f"bench-long: {HOSTILE}"
    assert f"{HOSTILE} cpu" in section(root, "how").text
    assert f"{HOSTILE} message" in section(root, "failures").text
    assert "<b>x.json" in section(root, "failures").text
    assert section(root, "failures").all("a") == []
    assert {p.parent for p in tmp_path.rglob("*.png")} == {tmp_path / "report"}


def test_no_text_of_an_evaluation_or_a_generated_text_becomes_a_part_of_the_page(
    tmp_path: Path,
) -> None:
    cells = [poisoned(cell) for cell in (*loss_cells(), *evaluation_cells(), text_cell())]
    for cell in cells:
        cell["cell"]["task"] = "lm_eval" if cell["evaluations"] else HOSTILE
        for one in cell["evaluations"]:
            one["metric"] = f"{HOSTILE} metric"
    cells[-1]["predictions"]["predicted"] = ["WRITTEN"] * 150
    page = build_report([write_run(tmp_path, cells)], tmp_path / "report")
    root = read(page)
    check_harmless(root)
    told = section(root, "lm-eval").text
    for key in ("task", "metric", "message", "version"):
        assert f"{HOSTILE} {key}" in told, key
    assert "WRITTEN" not in page.read_text()  # what a model wrote stands nowhere
    assert {p.parent for p in tmp_path.rglob("*.png")} == {tmp_path / "report"}


@pytest.mark.parametrize(
    "log",
    [
        "../secret.log", "/etc/passwd", "logs/../../secret.log", "logs/absent.log", "logs/away.log",
        "javascript:alert(1)", "https://example.org/x", "x" * 400, "..", "logs",
    ],
)  # fmt: skip
def test_a_log_outside_the_folder_is_not_linked(tmp_path: Path, log: str) -> None:
    (tmp_path / "secret.log").write_text("secret")
    cell = make_cell(status="oom")
    cell["error"]["log"] = log
    folder = write_run(tmp_path / "run", [cell])
    (folder / "logs" / "away.log").symlink_to(tmp_path / "secret.log")
    assert log_entry(folder, folder / "report") == Path(log).name


def log_entry(folder: Path, out: Path) -> Any:
    """What stands under "Log" for the one cell that failed."""
    (table,) = failed_cells(loaded(folder, out=out))
    assert isinstance(table, Table)
    return table.rows[0][-1]


def test_a_log_is_linked_from_wherever_the_page_is(tmp_path: Path) -> None:
    cell = make_cell(status="oom")
    cell["error"]["log"] = "logs/a b#1?.log"
    folder = write_run(tmp_path / "run", [cell])
    (folder / "logs" / "a b#1?.log").write_text("why")
    for out in (folder / "report", tmp_path / "elsewhere" / "deep"):
        link = log_entry(folder, out)
        assert link.text == "logs/a b#1?.log"
        assert urlsplit(link.href).path == link.href
        out.mkdir(parents=True)
        assert (out / unquote(link.href)).read_text() == "why"
