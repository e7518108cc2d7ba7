"""`tasks new` writes a plug-in that works, with a test that passes, and harms nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tasks.template as template
from tasks import TaskError, load_task
from tasks.template import new_task

CONFIG = Path(__file__).parents[2] / "pyproject.toml"


def test_the_new_plugin_and_its_test_work_as_they_are(tmp_path: Path) -> None:
    plugin, test = new_task("my_task", tmp_path)
    assert (plugin, test) == (tmp_path / "my_task.py", tmp_path / "test_my_task.py")
    assert type(load_task("my_task", tmp_path)).__name__ == "MyTaskTask"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stdout
    assert "2 passed" in run.stdout


@pytest.mark.parametrize("name", ["example", "splits", "task", "task_metadata", "true", "none"])
def test_no_name_hides_what_the_plugin_needs(tmp_path: Path, name: str) -> None:
    new_task(name, tmp_path)
    assert len(load_task(name, tmp_path).splits(64, 0).test) == 500


def test_what_is_written_is_clean(tmp_path: Path) -> None:
    plugin, test = new_task("my_task", tmp_path)
    for command in (["check", "--ignore", "D103"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", str(CONFIG)]
        run = subprocess.run([*ruff, str(plugin), str(test)], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1st",
        "My",
        "a-b",
        "a b",
        "a.b",
        "../x",
        "/x",
        "class",
        "new",
        "export",
        "check",
        "é",
        "a\n",
        "_x",
        "test_x",
    ],
)
def test_names_that_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TaskError, match="cannot be a task's name"):
        new_task(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["mine.py", "test_mine.py"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("# mine\n", encoding="utf-8")
    with pytest.raises(TaskError, match="is there already"):
        new_task("mine", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text(encoding="utf-8") == "# mine\n"


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="there is a task 'newsgroups' already"):
        new_task("newsgroups", tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="nowhere"):
        new_task("mine", tmp_path / "nowhere")


def test_a_test_that_cannot_be_written_takes_the_plugin_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in = tmp_path / "tasks"
    built_in.mkdir()
    monkeypatch.setattr(template, "__file__", str(built_in / "template.py"))
    with pytest.raises(TaskError, match="cannot write"):
        new_task("mine", built_in)  # there is no tests/tasks beside it
    assert list(built_in.iterdir()) == []


def test_the_test_of_a_built_in_task_goes_to_the_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in, tests = tmp_path / "tasks", tmp_path / "tests" / "tasks"
    built_in.mkdir()
    tests.mkdir(parents=True)
    monkeypatch.setattr(template, "__file__", str(built_in / "template.py"))
    plugin, test = new_task("mine", built_in)
    assert (plugin, test) == (built_in / "mine.py", tests / "test_mine.py")
    assert 'load_task("mine")' in test.read_text(encoding="utf-8")
