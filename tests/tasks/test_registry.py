"""Plug-ins are found by looking, and a bad one is named and takes no other down."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from tasks import TaskError, discover, load_task, registry
from tasks.builtin.documents.newsgroups import Newsgroups
from tasks.template import new_task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new_task("mine", tmp_path)
    return tmp_path


def test_built_in_tasks_are_found() -> None:
    assert {"newsgroups", "pysource", "listops"} <= set(discover())


def test_a_plugin_in_a_folder_is_found_and_its_test_is_not_a_plugin(folder: Path) -> None:
    found = discover(folder)
    assert found["mine"].metadata.name == "mine"
    assert found.broken == {}
    assert len(load_task("mine", folder).splits(64, 0).test) == 500


def test_naming_the_built_in_folder_changes_nothing() -> None:
    here = Path(registry.__file__).parent
    assert set(discover(here)) == set(discover())
    assert discover(here).broken == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            "import no_such_module_here",
            "ModuleNotFoundError: No module named 'no_such_module_here'",
        ),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import asyncio\nraise asyncio.CancelledError('x')", "CancelledError: x"),
        ("class Own(BaseException): pass\nraise Own('y')", "Own: y"),
        ("x = 1", "has no subclass of Task"),
        ("from tasks import Task\nclass A(Task):\n    pass", "A lacks splits"),
        (
            "from tasks import Task\nclass A(Task):\n    def splits(self, length, seed): ...",
            "A has no metadata of type TaskMetadata",
        ),
        (
            "from tasks.builtin.documents.newsgroups import Newsgroups\n"
            "class A(Newsgroups):\n    metadata = Newsgroups.metadata",
            "the name 'newsgroups' is taken by another task",
        ),
        (
            "from tasks import TaskMetadata\nTaskMetadata(**{'name': 'Not valid'})",
            "metadata: name: String should match pattern",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_reason(folder: Path, content: str, reason: str) -> None:
    (folder / "bad.py").write_text(content, encoding="utf-8")
    found = discover(folder)
    assert reason in found.broken["bad"]
    assert found.broken["bad"].endswith(f" (in {folder / 'bad.py'})")
    assert "\n" not in found.broken["bad"]
    assert {"mine", "newsgroups"} <= set(found)
    with pytest.raises(TaskError, match="'bad' cannot be used"):
        load_task("bad", folder)
    with pytest.raises(TaskError, match="Broken plug-ins: bad"):
        load_task("other", folder)


def test_a_plugin_with_a_taken_name_is_not_replaced_by_the_other_without_a_word(
    folder: Path,
) -> None:
    source = (folder / "mine.py").read_text(encoding="utf-8").replace('"mine"', '"needle"')
    (folder / "needle.py").write_text(source, encoding="utf-8")
    with pytest.raises(TaskError, match="'needle' cannot be used: the name 'needle' is taken"):
        load_task("needle", folder)
    assert type(load_task("needle")).__name__ == "Needle"


def test_a_base_class_with_an_underscore_is_no_task(folder: Path) -> None:
    source = (folder / "mine.py").read_text(encoding="utf-8").replace('"mine"', '"two"')
    source = source.replace(
        "class Mine(Task):", "class _Base(Task):\n    pass\n\n\nclass Two(_Base):"
    )
    (folder / "two.py").write_text(source, encoding="utf-8")
    assert discover(folder).broken == {}
    assert "two" in discover(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("newsgroup", "Did you mean 'newsgroups'?"),
        ("list_ops", "Did you mean 'listops'?"),
        ("Needle", "Did you mean 'needle'?"),
        ("SST2", "Did you mean 'glue_sst2'?"),
        ("pathfinder", "Did you mean 'lra_pathfinder' or 'pathfinder_generated'?"),
        ("mydocs", "Available: arxiv"),
        ("mydocs", "need --tasks-dir DIR."),
        ("zzz", "Available: arxiv, automaton, "),
        ("", "Available: arxiv, automaton, "),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        load_task(name)
    assert message in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such folder"):
        discover(tmp_path / "nowhere")


def test_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(Newsgroups):
        metadata = Newsgroups.metadata.model_copy(update={"name": "theirs"})

    module = type(sys)("their_package")
    module.Theirs, module.number = Theirs, 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "their_package", module)
    offered = EntryPoints(
        EntryPoint(name, value, registry.GROUP)
        for name, value in [
            ("theirs", "their_package:Theirs"),
            ("number", "their_package:number"),
            ("gone", "no_such_package_here:X"),
        ]
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: offered.select(group=group))
    found = discover()
    assert found["theirs"] is Theirs
    assert found.broken["number"] == "is not a subclass of Task"
    assert "no_such_package_here" in found.broken["gone"]
    assert "newsgroups" in found


def test_importing_and_discovering_is_light() -> None:
    heavy = "{'torch', 'transformers', 'pandas', 'sklearn', 'scipy', 'numpy', 'Orange'}"
    code = f"import sys, tasks; tasks.discover(); print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
