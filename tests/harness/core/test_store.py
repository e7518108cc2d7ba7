"""The run folder: whole files, none overwritten, one writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.folder import RunFolder, write_atomically
from harness.core.result import CellResult, Seconds, Status
from harness.planning.sweep import as_file, load_sweep
from harness.planning.yaml_files import dump_yaml
from tests.harness.conftest import ROOT, SWEEPS

CELL = Cell(
    kind="probe", task=None, backbone="minilm", method="full", length=8, seed=0, batch_size=1,
    dtype="float32", device="cpu",
)  # fmt: skip
ID = CELL.id


def result(status: Status = "ok") -> CellResult:
    return CellResult.begun(CELL).model_copy(update={"status": status})


def test_a_retried_cell_is_kept_beside_the_old(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as folder:
        paths = [folder.write_result(result(status)) for status in ("oom", "error", "ok")]
        assert [p.name for p in paths] == [
            f"{ID}.json", f"{ID}.retry1.json", f"{ID}.retry2.json",
        ]  # fmt: skip
        assert [json.loads(p.read_text())["status"] for p in paths] == ["oom", "error", "ok"]
        assert folder.read().results[ID].ok
        assert folder.read(["ffffffffffff"]).results == {}


def test_ten_attempts_are_read_in_order_of_number(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        for attempt in range(12):
            folder.write_result(result().model_copy(update={"seconds": Seconds(wall=attempt)}))
        stored = folder.read()
        assert (stored.results[ID].seconds.wall, stored.attempts[ID]) == (11, 11)


def test_a_status_that_no_run_writes_counts_as_no_result(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        text = result().model_dump_json().replace('"status":"ok"', '"status":"weird"')
        (folder.cells / f"{ID}.json").write_text(text)
        assert folder.read().results == {}


def test_a_torn_file_counts_as_no_result(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        (folder.cells / f"{ID}.json").write_text('{"id": "0123')
        assert folder.read().results == {}
        assert folder.write_result(result()).name == f"{ID}.retry1.json"
        assert folder.read().results[ID].ok


@pytest.mark.parametrize(
    "content", ["[]", "{}", "null", '{"id": "x", "status": "ok"}', "[" * 99999]
)
def test_what_is_no_result_counts_as_none(content: str, tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        (folder.cells / f"{ID}.json").write_text(content)
        (folder.cells / "ffffffffffff.json").mkdir()
        assert folder.read().results == {}
        assert folder.write_result(result()).name == f"{ID}.retry1.json"


def test_files_of_the_user_stay(tmp_path: Path) -> None:
    mine = [tmp_path / "notes.tmp", tmp_path / "deep" / "draft.tmp", tmp_path / "cells" / "a.tmp"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (tmp_path / "sweep.yaml.tmp").mkdir()
    with RunFolder(tmp_path):
        assert all(path.exists() for path in mine)


def test_a_disk_that_is_full_and_a_folder_that_went_away(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as folder:
        folder.cells.rename(tmp_path / "aside")
        with pytest.raises(OSError, match="No such") as caught:
            folder.write_result(result())
        assert caught.value.filename == str(folder.cells / f"{ID}.json")
    limit = (
        "import resource, sys; from pathlib import Path; from harness.core.folder import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "path = Path(sys.argv[1])\n"
        "try: write_atomically(path, 'x' * 10000)\n"
        "except OSError as error:\n"
        "    print(error.filename, error.strerror, [p.name for p in path.parent.iterdir()])"
    )
    path = tmp_path / "aside" / "file"
    call = [sys.executable, "-c", limit, str(path)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == f"{path} File too large []\n", done.stderr


def test_a_sweep_file_that_is_rubbish_is_kept_aside(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        (tmp_path / "sweep.yaml").write_bytes(b"\xff\xfe")
        folder.write_sweep("name: smoke\n")
    assert (tmp_path / "sweep.1.yaml").exists()


def test_what_a_killed_run_left_half_written_is_swept_away(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        half = folder.cells / f"{ID}.retry1.json.{dead.pid}.tmp"
        half.write_text("{")
    with RunFolder(tmp_path):
        assert not half.exists()


def test_writing_fails_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_second_run_is_refused_and_a_dead_one_is_not_in_the_way(tmp_path: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from harness.core.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    call = [sys.executable, "-c", hold, str(tmp_path)]
    other = subprocess.Popen(call, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(BadInput, match="another run is writing into this folder"):
        RunFolder(tmp_path).__enter__()
    other.kill()
    other.wait()
    with RunFolder(tmp_path):
        pass


def test_an_earlier_sweep_is_kept(tmp_path: Path) -> None:
    first, second = (load_sweep(SWEEPS / "smoke.yaml", [f"seeds=[{s}]"]) for s in (1, 2))
    with RunFolder(tmp_path) as folder:
        for sweep in (first, first, second):
            folder.write_sweep(dump_yaml(as_file(sweep)))
    assert "- 2" in (tmp_path / "sweep.yaml").read_text()
    assert "- 1" in (tmp_path / "sweep.1.yaml").read_text()
    assert not (tmp_path / "sweep.2.yaml").exists()
    assert load_sweep(tmp_path / "sweep.yaml") == second


def test_half_a_report_is_swept_away_unless_its_writer_lives(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "report").mkdir()
    (tmp_path / "cards").mkdir()
    gone = [
        tmp_path / f"results.csv.{dead.pid}.tmp",
        tmp_path / "report" / f"index.html.{dead.pid}.tmp",
        tmp_path / "report" / f"cost-time.png.{dead.pid}.tmp",
        tmp_path / "report" / f"index.html.{os.getpid()}.tmp",  # a later process of that number
        tmp_path / "cards" / f"newsgroups.json.{dead.pid}.tmp",
    ]
    mine = [
        tmp_path / f"results.csv.{os.getpid()}.tmp",
        tmp_path / f"notes.{dead.pid}.tmp",
    ]
    for path in [*gone, *mine]:
        path.write_text("half")
    os.utime(gone[3], (0, 0))
    with RunFolder(tmp_path):
        assert not any(path.exists() for path in gone)
        assert all(path.exists() for path in mine)
