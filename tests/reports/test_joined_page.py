"""The page of several folders says what was joined and why not; the command overwrites nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import main
from harness.core.cell import PROTOCOL_VERSION, Cell
from harness.core.result import CellResult
from reports.page import build_report
from tests.reports.conftest import write_run
from tests.reports.pages import anchors, check_harmless, read, rows, section
from tests.reports.test_joining import cell, probe

pytestmark = pytest.mark.filterwarnings("error")


def test_a_new_result_says_its_protocol_version() -> None:
    about = {"kind": "probe", "task": None, "backbone": "minilm", "method": "full", "length": 8}
    made = Cell(**about, seed=0, batch_size=1, dtype="float32", device="cpu")
    assert CellResult.begun(made).protocol == PROTOCOL_VERSION


def test_the_page_of_joined_folders(tmp_path: Path) -> None:
    other = {"cpu": "Intel", "torch": "2.14.0"}
    a = [cell(n, accuracy=0.7) for n in (64, 128)] + [probe(64)]
    b = [cell(n, accuracy=0.8, environment=other) for n in (128, 256)]
    b += [probe(64, environment=other)]
    pins = {"revisions": {"task": "<b>2</b>", "backbone": "b1"}}
    c = [cell(64, data={"task_revision": "<b>2</b>"}, cell=pins)]
    folders = [write_run(tmp_path / n, x, name=n) for n, x in zip("abc", (a, b, c), strict=True)]
    out = tmp_path / "out"
    root = read(build_report([*folders, folders[0]], out))
    check_harmless(root)
    names = {path.name for path in out.iterdir()}
    assert {"accuracy-length-a-and-b.png", "accuracy-length-c.png"} <= names
    part = section(root, "joined")
    joined, repeated, different = part.all("table")
    found = {(row[0], row[1], row[3]): row for row in rows(joined)}
    assert found["scores", "newsgroups · minilm", "joined"][2] == "a and b"
    reason = found["scores", "newsgroups", "not joined"][4]
    assert "data version differs (1.16: a and b; <b>2</b>: c)" in reason
    reason = found["costs", "minilm", "not joined"][4]
    assert "processor differs (AMD EPYC: a; Intel: b)" in reason
    assert rows(repeated)[1][3:] == ["0.700 (a)", "0.800 (b)"]
    assert {row[0]: row[1:] for row in rows(different)}["torch"] == ["2.13.0", "2.14.0"]
    table = next(t for t in section(root, "overview").all("table") if "256 tokens" in t.text)
    (row,) = rows(table)[1:]
    assert [value.split()[0] for value in row[4:7]] == ["0.700", "0.700", "0.800"]


def test_one_folder_has_no_such_section(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", [cell()])
    link = tmp_path / "link"
    link.symlink_to(folder)
    root = read(build_report([folder, folder / ".." / "a", link], tmp_path / "out"))
    assert "joined" not in anchors(root)
    assert root.all("h1")[0].text == "bench-long: made-up"
    assert rows(section(root, "overview").all("table")[-1])[1][:2] == ["made-up", "1"]


def test_several_folders_need_a_place_for_their_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (str(write_run(tmp_path / n, [cell()], name=n)) for n in "ab")
    assert main(["report", a]) == 0
    page = tmp_path / "a" / "report" / "index.html"
    before = page.read_bytes()
    capsys.readouterr()
    for arguments in ([a, b], [b, a], [a, b, "--out", f"{a}/report"]):
        assert main(["report", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "--out" in error
    assert page.read_bytes() == before
    assert not (tmp_path / "b" / "report").exists()
    assert main(["report", a, b, "--out", str(tmp_path / "both")]) == 0
    assert main(["report", a, b, "--out", str(tmp_path / "both")]) == 0
    assert (tmp_path / "both" / "index.html").is_file()
    assert page.read_bytes() == before
    assert main(["report", a, a + "/"]) == 0  # one folder
