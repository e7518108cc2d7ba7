"""A slice on a machine that gets everything in parts, and the slice after it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from carry import run as carried
from carry.parts import code_digest, cut
from harness.cli.main import main
from harness.core.folder import read_run
from harness.planning.sweep import load_sweep
from tests.harness.conftest import ROOT, causal

__all__ = ["causal"]  # a fixture

SWEEP = """
name: tiny
backbone: BACKBONE
tasks: [needle]
lengths: [64]
methods:
  - lora: {rank: 2}
controls: []
train: {examples: 4, batch_size: 2, validation_examples: 2, validations: 1, test_examples: 4}
probe: {lengths: [32], steps: 2, seconds: 0}
device: cpu
dtype: float32
"""


def test_probes_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def note(words: list[str], *_: object) -> int:
        calls.append(words)
        return 0

    monkeypatch.setattr(carried, "_bench_long", note)
    sweeps = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    todo = carried.steps(sweeps, only_probes=False)
    arguments = (tmp_path / "out", tmp_path / "runs", tmp_path / "published")
    assert carried.run_slice(todo, *arguments, 480, {}, 2) == 0
    told = [(Path(words[1]).stem, "tasks=[]" in words) for words in calls]
    assert told == [("a", True), ("b", True), ("a", False), ("b", False)]
    (probes, trained) = carried.steps(sweeps[:1], False, ["lengths=[512]"])
    assert probes.arguments.index("lengths=[512]") < probes.arguments.index("lengths=[]")
    assert trained.arguments == ("--set", "lengths=[512]")
    calls.clear()
    assert carried.run_slice(todo, *arguments, 10, {}, 2) == 0
    assert calls == []


def test_the_sweeps_of_a_slice_exist() -> None:
    for name in carried.SWEEPS:
        assert load_sweep(ROOT / "sweeps" / name).probe is not None
    assert carried.environment(None, None, ROOT)["BENCH_LONG_NO_COST"] == "1"


def test_the_commit_of_changed_code_is_marked(tmp_path: Path) -> None:
    def commit(code: str, name: str) -> str:
        source = tmp_path / "file"
        source.write_text("x")
        cut({"frozen/x": source}, tmp_path / name, 2**20, {"commit": "abc", "code": code})
        cargo = carried.keep(tmp_path / name / "1", tmp_path / "store")
        joined = carried.join(cargo, tmp_path / "store")
        return carried.environment(joined, cargo, tmp_path)["BENCH_LONG_COMMIT"]

    assert commit(code_digest(ROOT), "a") == "abc"
    assert commit("other", "b") == "abc+changes"


@pytest.mark.slow
def test_a_slice_goes_on_where_the_last_one_ended(tmp_path: Path, causal: Path) -> None:
    sweep = tmp_path / "tiny.yaml"
    sweep.write_text(SWEEP.replace("BACKBONE", str(causal)))
    wheel = tmp_path / "sent_here-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("sent_here.py", "")
    heavy = tmp_path / "heavy"
    heavy.write_bytes(bytes(300_000))
    files = {f"wheels/{wheel.name}": wheel, "site/heavy": heavy, "frozen/note": sweep}
    notes = {"commit": "abc", "code": code_digest(ROOT)}
    assert len(cut(files, tmp_path / "parts", 250_000, notes)) == 2
    published = tmp_path / "published"

    def machine(name: str, *more: str) -> Path:
        """A fresh machine that gets the parts one after another; return what comes home."""
        here = tmp_path / name
        out = here / "out"
        words = [
            str(sweep), "--seconds", "500", "--carried", str(here / "parts"),
            "--store", str(here / "store"), "--runs", str(here / "runs"),
            "--published", str(published), "--out", str(out), "--workers", "1", *more,
        ]  # fmt: skip
        for number, code in (("2", carried.PARTS_MISSING), ("1", 0)):
            shutil.copytree(tmp_path / "parts" / number, here / "parts" / number)
            assert carried.main(words) == code
            shutil.rmtree(here / "parts" / number)
        assert (next((here / "store").glob("*/joined")) / "site" / "sent_here.py").is_file()
        assert [path.name for path in out.iterdir()] == [carried.ARCHIVE]
        return out / carried.ARCHIVE

    def home(archive: Path) -> None:
        shutil.unpack_archive(archive, tmp_path / "home")
        came = tmp_path / "home" / "tiny"
        assert main(["publish", str(came), "--to", f"{published}/tiny", "--partial"]) == 0

    home(machine("first", "--probes"))
    first = read_run(published / "tiny")
    assert {result.kind for result in first.results.values()} == {"probe"}
    home(machine("second"))
    both = read_run(published / "tiny")
    assert both.manifest.finished
    assert {result.kind for result in both.results.values()} == {"probe", "train"}
    for name, result in first.results.items():
        assert both.results[name].environment.started == result.environment.started
    assert len(both.manifest.runs) == 2
