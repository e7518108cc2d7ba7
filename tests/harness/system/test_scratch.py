"""Temporary folders: one a run, and what a killed process left is removed, nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from multiprocessing import util
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.system.scratch import RUN, owned_folder, remove_abandoned, run_folder
from tests.harness.conftest import ROOT

HOLD = """
import sys, time
from pathlib import Path
from harness.system.scratch import owned_folder
with owned_folder(Path(sys.argv[1]), "part-") as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def holder(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that owns a folder in `parent`."""
    call = [sys.executable, "-c", HOLD, str(parent)]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_dead_owners_folder_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    (alive, kept), (dead, left) = holder(tmp_path), holder(tmp_path)
    try:
        dead.kill()
        dead.wait()
        with owned_folder(tmp_path, "part-") as own:
            assert {*tmp_path.iterdir()} == {kept, own}
            remove_abandoned(tmp_path, "part-")
            assert (kept / "deep" / "file").read_text() == "x"
            assert own.is_dir()
        assert not left.exists()
        assert {*tmp_path.iterdir()} == {kept}
    finally:
        alive.kill()
        alive.wait()


def test_what_others_put_there_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").write_text("x")
    (tmp_path / "part-abcd1234").symlink_to(mine)  # a link is followed by nobody
    (tmp_path / "part-abcd5678").write_text("a file")
    (tmp_path / "part-of-mine").mkdir()
    (tmp_path / "other-abcd1234").mkdir()
    (tmp_path / "part-dead1234").mkdir()
    (tmp_path / "part-dead1234" / "link").symlink_to(mine)
    before = {*tmp_path.iterdir()}
    remove_abandoned(tmp_path, "part-")
    assert before - {*tmp_path.iterdir()} == {tmp_path / "part-dead1234"}
    assert (mine / "precious").read_text() == "x"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder to another user")
def test_another_users_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "part-dead1234").mkdir()
    os.chown(tmp_path / "part-dead1234", 12345, 12345)
    remove_abandoned(tmp_path, "part-")
    assert (tmp_path / "part-dead1234").is_dir()


def test_a_run_writes_into_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with run_folder() as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith(RUN)
        assert Path(tempfile.mkdtemp()).parent == folder
        assert Path(util.get_temp_dir()).samefile(folder)
        assert os.environ["TMPDIR"] == str(folder)
    assert os.environ["TMPDIR"] == str(tmp_path)
    assert tempfile.gettempdir() == str(tmp_path)


AT_EXIT = """
import atexit, tempfile, shutil
from harness.system.scratch import run_folder
with run_folder():
    atexit.register(shutil.rmtree, tempfile.mkdtemp())  # as matplotlib does
    kept = tempfile.mkdtemp()
"""


def test_it_goes_with_the_process_and_after_the_folders_of_libraries(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())


def test_sockets_have_a_short_path_in_a_long_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 105)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with run_folder() as folder:
        short = Path(util.get_temp_dir())
        assert len(str(short)) < 40
        assert short.samefile(folder)


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(BadInput, match=r"gone: .*cannot be written.*\$TMPDIR"), run_folder():
        pass


def test_without_a_home_the_cache_has_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models.gguf import unpacked

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("BENCH_LONG_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(BadInput, match=r"where: model: .*no home folder.*\$BENCH_LONG_CACHE"):
        unpacked("model", tmp_path / "model.gguf", "0" * 64, "where")
