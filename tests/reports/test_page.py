"""The report's page of a finished run: what it shows, and that it asks for nothing."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from reports.blocks import Table, Text
from reports.page import build_report
from reports.sections.runs import failed_cells, how_it_was_run
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import loaded
from tests.reports.pages import Node, anchors, check_harmless, read, report, rows, section

pytestmark = pytest.mark.filterwarnings("error")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page(laptop: Path) -> Path:
    return build_report([laptop], laptop / "report")


@pytest.fixture(scope="module")
def root(page: Path) -> Node:
    return read(page)


def test_the_page_is_one_file_that_asks_for_nothing(root: Node, page: Path) -> None:
    check_harmless(root)
    assert "http://" not in page.read_text()
    assert "https://" not in page.read_text()


def test_sections_are_there_in_order_and_linked(root: Node) -> None:
    assert anchors(root) == [
        "answers", "overview", "explore", "accuracy", "density", "parameters", "curves", "memory",
        "throughput", "links", "failures", "cells", "how",
    ]  # fmt: skip
    (nav,) = root.all("nav")
    assert [a.attributes["href"] for a in nav.all("a")] == [f"#{a}" for a in anchors(root)]
    titles = {h.attributes["id"]: h.text for h in root.all("h2")}
    assert [a.text for a in nav.all("a")] == [titles[a] for a in anchors(root)]


def size_of(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        return image.size


def test_every_picture_stands_in_the_page_and_beside_it(root: Node, page: Path) -> None:
    images = root.all("img")
    stills = [base64.b64decode(i.attributes["src"].partition(",")[2]) for i in images]
    files = sorted(page.parent.glob("*.png"))
    assert [f.name for f in files] == [
        "accuracy-density.png", "accuracy-length.png", "accuracy-parameters.png",
        "memory-length.png", "throughput-length.png", "validation-curves.png",
    ]  # fmt: skip
    sizes = [size_of(content) for content in stills]
    whole = [size_of(f.read_bytes()) for f in files]
    assert sorted(sizes) == sorted(((w + 1) // 2, (h + 1) // 2) for w, h in whole)
    assert sum(map(len, stills)) < sum(f.stat().st_size for f in files) / 3
    captions = " ".join(c.text for c in root.all("figcaption"))
    for file in files:
        assert f"({file.name})" in captions
    for image in images:
        assert int(image.attributes["width"]) > 300
        assert len(re.findall(r"\d", image.attributes["alt"])) > 20  # it says the numbers


def test_the_head_counts_the_cells(root: Node) -> None:
    assert rows(section(root, "overview").all("table")[-1])[1] == [
        "laptop", "61", "3 (1 diverged, 1 oom, 1 timeout)", "0", "", "23 min", "6.1 %",
    ]  # fmt: skip
    assert root.all("h1")[0].text == "bench-long: laptop"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", root.all("p")[0].text)


def test_the_main_table_says_what_the_files_say(root: Node, laptop: Path) -> None:
    (table,) = [t for t in section(root, "overview").all("table") if "Trainable" in t.text]
    head, *body = rows(table)
    assert head[:4] == ["Arm", "Trainable", "Sites", "Links"]
    assert head[4:] == [
        "64 tokens", "128 tokens", "256 tokens", "512 tokens", "Train tokens/s at 1024",
        "Train peak at 1024",
    ]  # fmt: skip
    cells = [json.loads(p.read_text()) for p in (laptop / "cells").iterdir()]
    for row in body:
        for column, length in enumerate((64, 128, 256, 512), start=4):
            (cell,) = [
                c for c in cells
                if c["arm"] == row[0] and c["cell"]["length"] == length and c["kind"] == "train"
            ]  # fmt: skip
            scores = cell["scores"]
            expected = cell["status"]
            if scores:
                told = [f"{scores[n]:.3f}" for n in ("score", "score_low", "score_high")]
                expected = "{} ({} to {})".format(*told)
            assert row[column] == expected


def test_every_cell_is_in_the_table(root: Node, laptop: Path) -> None:
    (table,) = section(root, "cells").all("table")
    head, *body = rows(table)
    ids = {row[0] for row in body}
    assert ids == {p.stem for p in (laptop / "cells").iterdir()}
    assert len(body) == 64
    assert {row[head.index("Status")] for row in body} == {"ok", "oom", "diverged", "timeout"}


def test_failures_have_their_message_and_a_log_that_is_there(root: Node, page: Path) -> None:
    (table,) = section(root, "failures").all("table")
    _, *body = rows(table)
    assert [row[2] for row in body] == ["diverged", "timeout", "oom"]
    assert "OutOfMemory: the cell ended with oom" in body[2]
    links = table.all("a")
    assert len(links) == 3
    for link in links:
        target = page.parent / unquote(link.attributes["href"])
        assert target.read_text() == "Traceback\n"


def test_nothing_is_called_mixed_where_it_is_not(root: Node) -> None:
    """The baseline has no number format, failures no kernel: that is no mixture of settings."""
    how = section(root, "how")
    assert "mixed" not in how.text
    table = dict(row for row in rows(how.all("table")[0])[1:])
    assert table["number format"] == "bfloat16 autocast"
    assert table["torch"] == "2.13.0"
    assert table["memory (GiB)"] == "24.0"
    assert how.all("pre")[0].text == "name: laptop backbone: minilm"


def test_settings_that_differ_are_warned_of(tmp_path: Path) -> None:
    cells = [make_cell(length=n) for n in (64, 128)]
    cells[0]["environment"] |= {"torch": "2.12.0", "commit": "0123456789ab+changes"}
    cells.append(make_cell(length=256, status="oom", model=None))  # it has no settings to differ
    folder = write_run(tmp_path / "run", cells, name="two")
    (folder / "cells" / "x.json").write_text("{")
    found = loaded(folder)
    blocks = how_it_was_run(found)
    warnings = [b.text for b in blocks if isinstance(b, Text) and b.tone == "warning"]
    mixed = [w.split(": ", 1)[1] for w in warnings if "mixed" in w]
    assert len(mixed) == 2
    assert mixed[0].startswith("mixed commit: 0123456789ab+changes (cells: 1); 0123456789ab")
    assert mixed[1].startswith("mixed torch: 2.12.0 (cells: 1); 2.13.0 (cells: 2).")
    assert "two: the code had uncommitted changes." in warnings
    _, table = failed_cells(found)
    assert isinstance(table, Table)
    assert table.rows == [["two", "x.json", "not valid JSON"]]


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(laptop: Path, page: Path, tmp_path: Path) -> None:
    again = build_report([laptop], tmp_path / "report")
    here, there = page.read_bytes(), again.read_bytes()
    assert here.replace(b"../logs/", b"") == re.sub(rb'href="[^"#]*logs/', b'href="', there)
    for file in page.parent.glob("*.png"):
        assert (tmp_path / "report" / file.name).read_bytes() == file.read_bytes()


def test_cells_of_an_earlier_sweep_stand_in_the_table_alone(tmp_path: Path) -> None:
    cells = [make_cell(length=64), make_cell(length=128)]
    old = make_cell("full", length=64, status="oom")
    root = report(tmp_path, [*cells, old], ids=[c["id"] for c in cells])
    assert "1 cells are not in the current sweep" in section(root, "cells").text
    assert len(rows(section(root, "cells").all("table")[0])) == 4
    assert [r[0] for r in rows(section(root, "overview").all("table")[0])[1:]] == ["LoRA 1"]
    assert section(root, "failures").text == "Failures No cell failed."


def test_a_report_needs_no_torch(tmp_path: Path) -> None:
    folder = write_run(tmp_path, [make_cell(length=n, seed=s) for n in (64, 128) for s in (0, 1)])
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "peft", "tasks", "ssmlora"):
            raise ImportError(f"{name} must not be needed")
sys.meta_path.insert(0, Refuse())
import reports
assert "pandas" not in sys.modules and "matplotlib" not in sys.modules
from pathlib import Path
folder = Path(sys.argv[1])
print(reports.build_report([folder], folder / "report"))
print(reports.write_csv(folder))
print(len(reports.summary_table(folder)), len(reports.readme_table(folder)))
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no warnings either
    assert (folder / "report" / "index.html").exists()
