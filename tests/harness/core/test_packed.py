"""Packed runs: read like the run folder, equal bytes for equal results, one origin."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.folder import Manifest, RunFolder, read_run, write_packed
from harness.core.folder.packed import PACKED, check_one_origin
from harness.core.folder.partial import joined
from harness.core.result import CellResult, Environment, Predictions, Scores


def made(seed: int, **environment: str) -> CellResult:
    cell = Cell(
        kind="train", task="t", backbone="minilm", method="lora", density=0.5, length=8, seed=seed,
        lr=1e-3, batch_size=1, dtype="float32", device="cpu",
    )  # fmt: skip
    result = CellResult.begun(cell, {"commit": "abc", "cpu": "X", **environment})
    result.status = "ok"
    result.scores = Scores(metric="loss", score=1 / 3, test_examples=2)
    result.predictions = Predictions(ids=["a", "b"], scores=[1 / 3, 0.25])
    return result


def run_folder(path: Path, results: list[CellResult]) -> Path:
    with RunFolder(path) as folder:
        for result in results:
            folder.write_result(result)
        folder.write_sweep("name: mine\n")
        folder.write_manifest(Manifest(name="mine", ids=[r.id for r in results], finished=True))
    return path


def test_a_packed_run_is_read_like_its_folder(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", [made(0), made(1)])
    write_packed(read_run(folder), tmp_path / "packed")
    before, after = read_run(folder), read_run(tmp_path / "packed")
    assert (after.manifest, after.sweep, after.unreadable) == (before.manifest, "name: mine\n", [])
    assert after.results.keys() == before.results.keys()
    for name, result in after.results.items():
        same = before.results[name]
        assert (result.cell, result.scores, result.environment) == (
            same.cell, same.scores, same.environment,
        )  # fmt: skip
        assert result.predictions
        assert result.predictions.scores == [0.333333, 0.25]


def test_parts_of_a_run_are_joined_and_later_results_win(tmp_path: Path) -> None:
    def part(
        name: str, seeds: list[int], started: str, score: float, planned: Sequence[int] = range(3)
    ) -> Path:
        results = [made(seed, started=started) for seed in seeds]
        for result in results:
            result.scores = Scores(metric="loss", score=score, test_examples=2)
        folder = run_folder(tmp_path / name, results)
        with RunFolder(folder) as held:
            held.write_manifest(Manifest(name="mine", ids=[made(n).id for n in planned]))
        return folder

    at = tmp_path / "packed"
    of_a_smaller_sweep = part("b", [0], "2026-01-01", 5.0, planned=[0])
    for folder in (part("a", [0, 1], "2026-01-02", 1.0), of_a_smaller_sweep):
        write_packed(joined(read_run(folder), read_run(at)), at)
        assert len(read_run(at).results) == 2
        assert not read_run(at).manifest.finished
    last = part("c", [1, 2], "2026-01-03", 3.0)
    write_packed(joined(read_run(last), read_run(at)), at)
    found = read_run(at)
    assert found.manifest.finished
    scores = {found.results[made(n).id].scores.score for n in range(3)}  # type: ignore[union-attr]
    assert [found.results[made(n).id].environment.started[-1] for n in range(3)] == ["2", "3", "3"]  # type: ignore[index]
    assert scores == {1.0, 3.0}


def test_equal_results_give_equal_bytes_in_any_order(tmp_path: Path) -> None:
    one, two = made(0), made(1)
    two.environment.started = one.environment.started
    for name, results in (("a", [one, two]), ("b", [two, one])):
        write_packed(read_run(run_folder(tmp_path / name, results)), tmp_path / f"{name}p")
    first, second = ((tmp_path / n / PACKED).read_bytes() for n in ("ap", "bp"))
    assert first == second


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(b"{}\n[\n", mtime=0)[:-4]])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PACKED).write_bytes(content)
    stored = read_run(tmp_path)
    assert stored.results == {}
    assert content == b"" or stored.unreadable


def test_a_foreign_line_is_left_out(tmp_path: Path) -> None:
    line = made(0).model_dump_json()
    (tmp_path / PACKED).write_bytes(gzip.compress(f"{line}\n[1]\n".encode()))
    stored = read_run(tmp_path)
    assert [*stored.results] == [made(0).id]
    assert [name for name, _ in stored.unreadable] == [f"{PACKED}:2"]


@pytest.mark.parametrize(
    ("other", "part"),
    [
        ({"commit": "def"}, "abc, def"),
        ({"cpu": "Y"}, "cpu is X, Y"),
    ],
)
def test_runs_of_several_origins_are_refused(other: dict[str, str], part: str) -> None:
    check_one_origin([made(0), made(1)], "run")
    with pytest.raises(BadInput, match=part):
        check_one_origin([made(0), made(1, **other)], "run")
    with pytest.raises(BadInput, match=r"abc\+changes"):
        check_one_origin([made(0, commit="abc+changes")], "run")
    assert Environment().commit is None
