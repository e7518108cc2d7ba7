"""Reports of other runs: several side by side, empty, failures or probes alone, a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.page import build_report
from tests.reports.conftest import make_cell, tuning_cells, write_run
from tests.reports.pages import anchors, check_harmless, read, report, rows, section

pytestmark = pytest.mark.filterwarnings("error")


def test_runs_of_one_name_stand_side_by_side(tmp_path: Path) -> None:
    folders = []
    for n, value in enumerate((0.7, 0.9)):
        cells = [make_cell(length=length, accuracy=value, protocol=n) for length in (64, 128)]
        folders.append(write_run(tmp_path / f"f{n}", cells, name="same"))
    out = tmp_path / "out"
    root = read(build_report(folders, out))
    check_harmless(root)
    assert root.all("h1")[0].text == "bench-long: same (1), same (2)"
    assert {"accuracy-length-same-1.png", "accuracy-length-same-2.png"} <= {
        p.name for p in out.iterdir()
    }
    tables = [t for t in section(root, "overview").all("table") if "Trainable" in t.text]
    captions = [p.text for p in section(root, "overview").all("p") if "test accuracy by" in p.text]
    assert [c.split(": ")[0] for c in captions] == ["same (1)", "same (2)"]
    values = [[float(row[4].split()[0]) for row in rows(table)[1:]] for table in tables]
    assert max(values[0]) < 0.8 < min(values[1])
    listed = {row[1] for row in rows(section(root, "cells").all("table")[0])[1:]}
    assert listed == {"same (1)", "same (2)"}
    assert "same (1) (folder f0)" in section(root, "how").text


def test_an_empty_folder_makes_a_page_that_says_so(tmp_path: Path) -> None:
    root = read(build_report([tmp_path], tmp_path / "report"))
    check_harmless(root)
    assert "There are no cells yet." in root.text
    assert anchors(root) == ["overview", "failures", "cells", "how"]
    assert list((tmp_path / "report").glob("*.png")) == []


def test_failures_alone_make_a_report(tmp_path: Path) -> None:
    cells = [make_cell(m, length=n, status="oom") for m in ("full", "lora") for n in (64, 128)]
    root = report(tmp_path, cells, missing=2)
    arms, *_, outcomes = section(root, "overview").all("table")
    assert rows(outcomes)[1][1:4] == ["0", "4 (4 oom)", "2"]
    assert "No test text was read" in section(root, "overview").text
    assert [r[4:] for r in rows(arms)[1:]] == [["oom"] * 2] * 2
    assert "Full at 64 (oom)" in section(root, "accuracy").all("img")[0].attributes["alt"]


def test_probes_alone_make_a_report(tmp_path: Path) -> None:
    cells = [make_cell(m, length=n, kind="probe") for m in ("full", "lora") for n in (64, 128)]
    root = report(tmp_path, cells)
    assert anchors(root) == [
        "answers", "overview", "explore", "memory", "throughput", "failures", "cells", "how",
    ]  # fmt: skip
    assert "Source: probes" in section(root, "memory").text


def test_a_study_shows_the_tries_of_every_arm(tmp_path: Path) -> None:
    root = report(tmp_path, tuning_cells())
    assert "accuracy" not in anchors(root)  # no test text was read: there is nothing to draw
    assert anchors(root)[:4] == ["answers", "overview", "explore", "rates"]
    (table,) = section(root, "rates").all("table")
    head, *body = rows(table)
    found = [dict(zip(head, row, strict=True)) for row in body]
    assert len(found) == 6
    assert {row["Rates"] for row in found} == {"5"}
    assert {row["Cells"] for row in found} == {"10"}
    assert [row["Best"] for row in found] == ["4e-4"] + ["4e-3"] * 5
    assert [row["Failed"] for row in found] == ["1"] + ["0"] * 5
    assert {row["Validation score"] for row in found} == {"0.882"}
    assert found[0]["Learning rates"] == "5e-5, 1e-4, 2e-4, 4e-4, 8e-4"
    assert {row["Best at the edge"] for row in found} == {"no"}
    assert "Unequal numbers" not in root.text


def test_a_newer_report_takes_stale_figures_away(tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    for name in ("accuracy-length.png", "learning-rates-old-task.svg", "memory-length.png"):
        (out / name).write_bytes(b"stale")
    (out / "notes.png").write_bytes(b"mine")
    build_report([write_run(tmp_path, [make_cell(kind="probe")])], out, vector=True)
    names = {p.name for p in out.iterdir()}
    figures = {f"{stem}.{end}" for stem in ("memory-length", "throughput-length")
               for end in ("png", "svg", "pdf")}  # fmt: skip
    assert names == {"index.html", "notes.png", *figures}
    assert (out / "memory-length.png").read_bytes() != b"stale"
    assert (out / "notes.png").read_bytes() == b"mine"
