"""Files are cut into parts of limited size, and come out as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from carry.parts import CarryError, cut, join, keep, missing

LIMIT = 100_000 + 2**16


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Three files in parts of at most LIMIT bytes; the second is larger than a part."""
    files = {}
    for name, size in (("a/one", 10_000), ("b/two", 230_000), ("b/empty", 0)):
        path = tmp_path / name.replace("/", "-")
        path.write_bytes(bytes(i * 7 % 251 for i in range(size)))
        files[name] = path
    assert cut(files, tmp_path / "parts", LIMIT, {"commit": "abc"}) == [100_000, 100_000, 40_000]
    return tmp_path / "parts"


def test_parts_arrive_in_any_order_and_files_are_as_they_were(parts: Path, tmp_path: Path) -> None:
    for part in parts.iterdir():
        assert sum(path.stat().st_size for path in part.iterdir()) <= LIMIT
    store = tmp_path / "store"
    lacking = {2: [1, 3], 3: [1], 1: []}
    for number, left in lacking.items():
        cargo = keep(parts / str(number), store)
        shutil.rmtree(parts / str(number))
        assert missing(cargo, store) == left
    folder = join(cargo, store)
    for name in ("a/one", "b/two", "b/empty"):
        same = tmp_path / name.replace("/", "-")
        assert (folder / name).read_bytes() == same.read_bytes()
    assert join(cargo, store) == folder
    assert cargo.notes == {"commit": "abc"}


def test_a_damaged_piece_is_refused(parts: Path, tmp_path: Path) -> None:
    piece = parts / "2" / "001.1"
    piece.write_bytes(b"x" + piece.read_bytes()[1:])
    for number in (1, 2, 3):
        cargo = keep(parts / str(number), tmp_path / "store")
    with pytest.raises(CarryError, match="b/two: damaged on the way"):
        join(cargo, tmp_path / "store")


def test_a_damaged_list_is_refused(parts: Path, tmp_path: Path) -> None:
    (parts / "1" / "list.json").write_text("{")
    with pytest.raises(CarryError, match="cannot be read"):
        keep(parts / "1", tmp_path / "store")
