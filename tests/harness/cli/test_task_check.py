"""`bench-long tasks check`, and its findings in a plan and on a card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from tasks.template import new_task
from tests.tasks.hub_folder import write

PLUGIN = """
from tasks import Example, Splits, Task, TaskMetadata

class Mine(Task):
    metadata = TaskMetadata(name="mine", title="t", description="d",
        labels=("comp", "comp ", ""), source="s", revision="1", licence="l", citation="c",
        natural_length=20, lengths=(8, 16), min_length=8, balanced=True)

    def splits(self, length, seed):
        def part(name, size):
            return [Example(f"{name}{k}", f"{name} {k} " + "is a text of words " * 8, k % 3)
                    for k in range(size)]
        train = part("train", 30)
        test = [*part("test", 30)[:25], *train[:4], Example("empty", " ", 2)]
        if seed:
            train.reverse()
        return Splits(train, part("validation", 30), test)
"""

FINDINGS = ("empty name", "'comp', 'comp ' differ", "empty", "train and test share 4 texts")


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(PLUGIN)
    return tmp_path / "plugins"


def test_findings_are_printed_one_a_line(plugins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "check", "mine", "--tasks-dir", str(plugins)]) == 1
    lines = capsys.readouterr().out.splitlines()
    for part in FINDINGS:
        assert sum(part in line for line in lines) >= 1, part
    assert all(line.startswith("mine: ") for line in lines)
    assert len(set(lines)) == len(lines)  # what is so at both lengths is said once


def test_right_data_exits_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new_task("fine", tmp_path)
    assert main(["tasks", "check", "fine", "--tasks-dir", str(tmp_path), "--length", "64"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "no findings at 64 tokens" in said.err


@pytest.mark.parametrize(
    "words",
    [["nothing_of_the_kind"], ["newsgroups", "--length", "1"], ["newsgroups", "--to", "x"], []],
)
def test_bad_input_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "check", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_a_plugin_that_fails_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.replace("train = part", "1 / 0\n        train = part"))
    assert main(["tasks", "check", "mine", "--tasks-dir", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'mine' fails: ZeroDivisionError" in line


def test_a_plan_tells_what_a_quick_look_finds(
    plugins: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tiny), "--tasks-dir", str(plugins), "--set", "tasks=[mine]"]
    assert main(["plan", *words]) == 0
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 4
    for part in ("empty name", "differ", "1 of the 30 test texts are empty", "4 of the 30 test"):
        assert sum("tasks: mine: " in line and part in line for line in told) == 1, part


def test_a_card_tells_what_a_quick_look_finds(
    plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tasks", "mine", "--tasks-dir", str(plugins)]) == 0
    shown = capsys.readouterr().out
    for part in ("finding: the class 2 has an empty name", "differ only", "test texts are empty"):
        assert part in shown
    assert "shared with train: " in shown


def test_what_published_splits_share_is_a_number_and_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_LONG_HUB", str(tmp_path / "hub"))
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "hub", "glue_cola")
    files = [path for path in (tmp_path / "hub").rglob("*") if path.is_file()]
    train, test = (
        sorted(path for path in files if path.name.startswith(part))
        for part in ("train", "validation")
    )
    for one, other in zip(train, test, strict=True):
        other.write_bytes(one.read_bytes())
    code = main(["tasks", "check", "glue_cola", "--length", "64"])
    said = capsys.readouterr()
    assert "share" not in said.out
    assert code == (1 if said.out else 0)
    assert "shared with train, as published: " in said.err
    assert " 0 of " not in said.err


def test_findings_reach_the_report(plugins: Path, tiny: Path, tmp_path: Path) -> None:
    from harness.core.card import read_cards
    from harness.core.folder import RunFolder
    from harness.models.backbones import find_backbone
    from harness.planning.cards import write_cards

    with RunFolder(tmp_path / "out") as folder:
        assert write_cards(folder, ["mine"], [8], find_backbone("minilm", "x"), plugins) == []
        kept = json.loads((folder.path / "cards" / "mine.json").read_text())
        assert kept["shared"]["tested"] == 30
        (card,), broken = read_cards(folder.path)
    assert broken == []
    assert card.findings[0].startswith("the class 2 has an empty name")
    assert card.shared["tested"] == 30


def test_a_new_task_makes_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my" / "tasks"
    assert main(["tasks", "check", "mine", "--tasks-dir", str(folder)]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert main(["tasks", "new", "mine", "--tasks-dir", str(folder)]) == 0
    assert (folder / "mine.py").is_file()
