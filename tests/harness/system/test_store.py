"""The store of a run: what is computed once, and what never is."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from harness.system.scratch import RUN, run_folder
from harness.system.store import Store, run_store


class Writer:
    """Counts how often it writes."""

    def __init__(self, content: bytes = b"states", seconds: float = 0.0) -> None:
        self.content, self.seconds, self.times = content, seconds, 0

    def __call__(self, file: BinaryIO) -> None:
        self.times += 1
        time.sleep(self.seconds)
        file.write(self.content)


def test_a_key_is_computed_once(tmp_path: Path) -> None:
    write = Writer()
    paths = [Store(tmp_path / "shared").file("one", 6, write) for _ in range(3)]
    assert write.times == 1
    assert {path.read_bytes() for path in paths if path} == {b"states"}
    assert Store(tmp_path / "shared").file("other", 6, write) not in paths


def test_two_at_once_compute_it_once(tmp_path: Path) -> None:
    write, found = Writer(seconds=0.2), list[Path | None]()
    threads = [
        threading.Thread(target=lambda: found.append(Store(tmp_path).file("one", 6, write)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert write.times == 1
    assert found == 2 * [tmp_path / "one"]


def test_a_full_store_computes_nothing(tmp_path: Path) -> None:
    store, write = Store(tmp_path, most_bytes=100), Writer(bytes(60))
    assert store.file("one", 60, write) is not None
    assert store.file("two", 60, write) is None
    assert write.times == 1
    assert store.file("one", 60, write) is not None


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise ValueError("the model has no such layer")

    def fill_disk(file: BinaryIO) -> None:
        raise OSError("No space left on device")

    store = Store(tmp_path)
    with pytest.raises(ValueError, match="no such layer"):
        store.file("one", 6, fail)
    assert store.file("one", 6, fill_disk) is None
    assert {path.name for path in tmp_path.iterdir()} == {"one.lock"}


def test_what_a_killed_process_wrote_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "one.part").write_bytes(b"half of something longer")
    path = Store(tmp_path).file("one", 6, Writer())
    assert path is not None
    assert path.read_bytes() == b"states"


def test_it_exists_in_a_run_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run_store() is None
    with run_folder() as folder:
        store = run_store()
        assert store is not None
        path = store.file("one", 6, Writer())
        assert path is not None
        assert path.is_relative_to(folder)
        assert folder.name.startswith(RUN)
