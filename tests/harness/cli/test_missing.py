"""Data that is missing: one line for one task, for many one table and one command; and progress."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.planning.missing import joined, missing_lines
from harness.planning.plan import make_plan
from harness.planning.sweep import Sweep
from tasks.base import Download, MissingData
from tests.tasks.hub_folder import HUB, write

GLUE = [name for name in HUB if name.startswith("glue_")]


def _sweep(tasks: list[str]) -> Sweep:
    return Sweep.model_validate(
        {
            "name": "s",
            "backbone": "minilm",
            "tasks": tasks,
            "lengths": [64],
            "methods": ["full"],
            "train": {"examples": 8, "validation_examples": 8, "test_examples": 8, "lr": 1e-3},
        }
    )


def _lines(tasks: list[str]) -> list[str]:
    with pytest.raises(BadInput) as error:
        make_plan(_sweep(tasks), Path("s.yaml"))
    assert all(line.isprintable() for line in error.value.args)
    return [str(line) for line in error.value.args]


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("BENCH_LONG_HUB", raising=False)
    monkeypatch.delenv("LRA_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    return tmp_path


def test_one_task_is_one_line(nothing: Path) -> None:
    (line,) = _lines(["glue_rte"])
    assert line.startswith("s.yaml: tasks: glue_rte: ")
    assert f"`{_command('glue_rte')}`" in line


def _command(name: str) -> str:
    return f"{HUB[name]()._download().command()}"


def test_many_are_one_table_and_one_command(nothing: Path) -> None:
    lines = _lines([*GLUE, "superglue_wic", "superglue_boolq", "pg19", "newsgroups"])
    head, *rest = lines
    assert head == f"s.yaml: tasks: the data of {len(GLUE) + 3} tasks is not on this machine:"
    for name in (*GLUE, "superglue_wic", "superglue_boolq", "pg19"):
        (row,) = [line for line in rest if line.split()[0] == name]
        assert HUB[name].repository in row
        assert HUB[name].configuration in row
    (command,) = [line for line in rest if "hf download" in line]
    assert command.count("hf download") == 3
    for name in GLUE:
        assert f"--include '{HUB[name].configuration}/*'" in command
    assert command.count(HUB["glue_rte"].revision or "?") == 1
    assert command.endswith("hf download --repo-type dataset emozilla/pg19")
    assert len(lines) == 1 + len(GLUE) + 3 + 2
    assert sum(map(len, lines)) < 2_000


def test_a_repository_of_which_a_part_is_there(
    nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(nothing, "glue_cola", 40)
    monkeypatch.setenv("BENCH_LONG_HUB", str(nothing))
    lines = _lines(["glue_cola", "glue_rte", "glue_qnli"])
    (command,) = [line for line in lines if "hf download" in line]
    assert "cola" not in command
    assert "'rte/*' --include 'qnli/*'" in command


def test_what_no_command_gets_has_its_remedy_once() -> None:
    errors = [
        MissingData("a", "one/one x", "run `…`", Download("one/one", "r", ("x/*",))),
        MissingData("long_name", "some files", "unpack them"),
        MissingData("b", "others", "unpack them"),
    ]
    assert missing_lines(errors, "s.yaml") == [
        "s.yaml: tasks: the data of 3 tasks is not on this machine:",
        "  a          one/one x",
        "  long_name  some files",
        "  b          others",
        "get it: hf download --repo-type dataset one/one --revision r --include 'x/*'",
        "or name a folder that holds these repositories in $BENCH_LONG_HUB",
        "long_name, b: unpack them",
    ]
    assert missing_lines([], "s.yaml") == []
    again = pickle.loads(pickle.dumps(errors[0]))
    assert (str(again), again.download) == (str(errors[0]), errors[0].download)


def test_downloads_are_as_few_as_can_be() -> None:
    one, two, other = (
        Download("o/n", r, (p,)) for r, p in (("1", "a/*"), ("1", "b/*"), ("2", "a/*"))
    )
    assert joined([one, other, two, one]) == [Download("o/n", "1", ("a/*", "b/*")), other]
    assert joined([one, Download("o/n", "1"), two]) == [Download("o/n", "1")]


_PLUGIN = """
from tasks import Example, Splits, Task, TaskMetadata
from tasks.lib.cache import cached


def _build():
    return Splits(*([Example(f"{p}{n}", f"text {p} {n}", n % 2) for n in range(8)] for p in "abc"))


class Mine(Task):
    metadata = TaskMetadata(
        name="mine", title="mine", description="d", labels=("no", "yes"), source="s",
        revision="1", licence="l", citation="c", natural_length=20, lengths=(16,),
        whole_texts=True,
    )

    def splits(self, length, seed):
        return cached("mine", "1", _build, reads_files=False)
"""


def test_what_takes_long_is_said_where_the_output_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(_PLUGIN, encoding="utf-8")
    write(tmp_path / "hub", "imdb", 40)
    monkeypatch.setenv("BENCH_LONG_HUB", str(tmp_path / "hub"))
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "kept"))
    sweep = tmp_path / "s.yaml"
    sweep.write_text(
        "{name: s, backbone: minilm, tasks: [mine, imdb], lengths: [16], methods: [full], train: "
        "{examples: 4, validation_examples: 4, test_examples: 4, lr: 0.001}}",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "harness", "plan", str(sweep)]
    command += ["--tasks-dir", str(tmp_path / "plugins")]
    first, second = (subprocess.run(command, capture_output=True, text=True) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    said = first.stderr.splitlines()
    assert [line for line in said if line.startswith("mine: its examples are prepared")]
    assert [line for line in said if line.startswith("imdb: 'train' of stanfordnlp/imdb is conv")]
    assert "prepared" not in second.stderr
    assert "converted" not in second.stderr


def test_a_shown_task_says_what_takes_long(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import logging

    from harness.cli.console import reading

    with reading("the task mine"):
        logging.getLogger("tasks.progress").info("mine: %s", "[red]\x1b[31m")
    logging.getLogger("tasks.progress").info("no longer shown")
    assert capfd.readouterr().err == "mine: [red]\\x1b[31m\n"
