"""The version of data follows from the content that a task reads."""

from __future__ import annotations

import csv
import os
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.planning.plan import make_plan
from harness.planning.sweep import Sweep
from tasks import Example, Splits, Task, TaskError, TaskMetadata, discover, load_task
from tasks.builtin.documents.newsgroups import Newsgroups
from tasks.builtin.documents.pysource import PySource
from tasks.lib import content
from tasks.lib.cache import cached
from tasks.lib.content import content_digest, splits_digest
from tasks.lib.opened import source_of, watched
from tests.made_up import metadata

_PLUGIN = """
import csv
from pathlib import Path

from tasks import Example, Splits, Task, TaskMetadata
from tasks.lib.cache import cached


def _build():
    with (Path(__file__).parent / "data.csv").open(encoding="utf-8") as file:
        read = list(csv.reader(file))
    rows = [Example(f"{n}", text, int(label)) for n, (text, label) in enumerate(read)]
    return Splits(rows[:60], rows[60:80], rows[80:])


class Mine(Task):
    metadata = TaskMetadata(
        name="mine", title="mine", description="d", labels=("no", "yes"), source="s",
        revision="1", licence="l", citation="c", natural_length=20, lengths=(16, 64),
        whole_texts=True,
    )

    def splits(self, length, seed):
        return SPLITS
"""

SWEEP = Sweep.model_validate(
    {
        "name": "s",
        "backbone": "minilm",
        "tasks": ["mine"],
        "lengths": [16],
        "methods": ["full"],
        "train": {"examples": 8, "validation_examples": 8, "test_examples": 8, "lr": 1e-3},
    }
)


def _write(folder: Path, flip: int = 0, time: float | None = None) -> None:
    with (folder / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([f"text {n}", (n + flip) % 2] for n in range(100))
    if time is not None:
        os.utime(folder / "data.csv", (time, time))


@pytest.mark.parametrize("splits", ["_build()", 'cached("mine", "1", _build)'])
def test_other_labels_in_a_file_of_one_size_and_time_are_other_cells(
    splits: str, tmp_path: Path
) -> None:
    """With the revision left as it is, and with a cache under a key that never changes."""
    (tmp_path / "mine.py").write_text(_PLUGIN.replace("SPLITS", splits), encoding="utf-8")
    ids = []
    for flip in (0, 1, 0):
        _write(tmp_path, flip, 1e9)
        plan = make_plan(SWEEP, tmp_path / "sweep.yaml", tmp_path)
        ids.append({cell.id for cell in plan.cells})
        assert load_task("mine", tmp_path).splits(16, 0).test[0].label == flip
        assert all(cell.revisions["task"].startswith("1,content:") for cell in plan.cells)
    assert ids[0] == ids[2]
    assert not ids[0] & ids[1]


def test_other_code_of_a_plugin_is_other_data(tmp_path: Path) -> None:
    plugin = _PLUGIN.replace("SPLITS", 'cached("mine", "1", _build)')
    _write(tmp_path)
    found = []
    for code in (plugin, plugin.replace("int(label)", "1 - int(label)"), plugin + "# a remark\n"):
        (tmp_path / "mine.py").write_text(code, encoding="utf-8")
        found.append(load_task("mine", tmp_path).data_version())
    assert found[0] == found[2] != found[1]


class _Given(Task):
    """Whatever a test gives it, by length and seed."""

    metadata: ClassVar[TaskMetadata] = metadata(lengths=(16, 32, 64))

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def splits(self, length: int, seed: int) -> Splits:
        change = self.changes

        def part(name: str, size: int) -> list[Example]:
            made = [Example(f"{name}{n}", f"word {n}", n % 3) for n in range(size)]
            here = {"part": name, "length": length, "seed": seed}
            if (
                "place" in change
                and here.items() >= {k: change[k] for k in here if k in change}.items()
            ):
                made[change["place"]] = made[change["place"]]._replace(**change["to"])
            return made

        return Splits(part("train", 40), part("validation", 10), part("test", 20))


@pytest.mark.parametrize("length", [16, 32, 64])
@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_one_example_of_one_split_at_one_length_is_seen(part: str, length: int) -> None:
    change = {"part": part, "length": length, "place": -1, "to": {"label": 2}}
    assert content_digest(_Given(**change)) != content_digest(_Given())


@pytest.mark.parametrize(
    "to",
    [
        {"text": "word\ud800"},
        {"second": "x"},
        {"labels": (1,)},
        {"choices": ("a", "b")},
        {"answers": ("a",)},
        {"id": "y"},
    ],
)
def test_every_field_is_seen(to: dict[str, Any]) -> None:
    change = {"part": "test", "place": 3, "to": to}
    assert content_digest(_Given(**change)) != content_digest(_Given())


def test_what_only_another_seed_trains_on_is_seen() -> None:
    change = {"part": "train", "seed": 1, "place": 0, "to": {"label": 2}}
    assert content_digest(_Given(**change)) != content_digest(_Given())


@pytest.mark.parametrize("labels", [("a", "c", "b"), ("a", "b", "d")])
def test_the_names_of_labels_and_their_order_are_seen(
    labels: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content_digest(_Given())
    monkeypatch.setattr(_Given, "metadata", metadata(lengths=(16, 32, 64), labels=labels))
    assert content_digest(_Given()) != before


def test_a_length_without_data_does_not_matter_unless_all_are() -> None:
    class Some(_Given):
        def splits(self, length: int, seed: int) -> Splits:
            if length > self.changes["most"]:
                raise TaskError("no data")
            return super().splits(length, seed)

    whole, some, none = (Some(most=most) for most in (64, 32, 8))
    assert len({content_digest(whole), content_digest(some)}) == 2
    with pytest.raises(TaskError, match="no data"):
        content_digest(none)


def test_no_more_than_the_bounds_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    class Large(list[Example]):
        def __len__(self) -> int:
            return 10**9

        def __getitem__(self, index: Any) -> Any:
            read.extend(range(index.start, index.stop))
            return [Example(str(n), "x" * 1000, 0) for n in range(index.start, index.stop)]

    class Enormous(_Given):
        def splits(self, length: int, seed: int) -> Splits:
            return Splits(Large(), Large(), Large())

    monkeypatch.setattr(content, "EXAMPLES", 3_000)
    content_digest(Enormous())
    assert len(read) <= 3 * 3_000 + 7 * content.FIRST
    read.clear()
    monkeypatch.setattr(content, "CHARACTERS", 600_000)
    content_digest(Enormous())
    assert len(read) <= 10 * content.FIRST


def test_shipped_tasks_whose_version_pins_their_content_keep_it() -> None:
    for name in ("newsgroups", "licences", "needle", "facts_one", "mnist_permuted", "listops"):
        task = load_task(name)
        assert task.data_version() == task.metadata.revision


def test_every_shipped_task_declares_what_pins_it() -> None:
    assert {name for name, task in discover().items() if task.pinned_by != "version"} == set()


def test_a_subclass_elsewhere_may_read_other_data() -> None:
    class Fewer(Newsgroups):
        def splits(self, length: int, seed: int) -> Splits:
            train, validation, test = super().splits(length, seed)
            return Splits(train[:20], validation[:20], test[:20])

    assert Fewer().data_version().startswith(f"{Newsgroups.metadata.revision},content:")


def test_packages_other_than_the_tested_ones_are_pinned_by_their_modules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [Example(f"m{n}", f"code {n}", n % 8) for n in range(30)]
    found = []
    for changed in (rows, [*rows[1:], rows[0]._replace(text="patched")]):
        splits = Splits(changed, changed, changed)
        monkeypatch.setattr(PySource, "_splits", lambda self, splits=splits: splits)
        found.append(PySource().data_version())
        digest = splits_digest(splits)
        assert found[-1] == f"{PySource.metadata.revision},content:{digest}"
        assert load_task("pysource_lm").data_version() == f"{found[-1]},lm"
        with monkeypatch.context() as patch:
            patch.setattr("tasks.builtin.documents.pysource._TESTED", digest)
            assert PySource().data_version() == PySource.metadata.revision
    assert found[0] != found[1]


def _count(path: Path, times: list[int]) -> Splits:
    times.append(1)
    names = sorted(entry.name for entry in path.iterdir())
    texts = [(path / name).read_text(encoding="utf-8") for name in names]
    return Splits([Example(n, t, 0) for n, t in zip(names, texts, strict=True)], [], [])


def test_what_is_kept_is_made_again_when_a_file_or_a_folder_changes(tmp_path: Path) -> None:
    folder, times = tmp_path / "texts", list[int]()
    folder.mkdir()
    (folder / "a").write_text("one", encoding="utf-8")

    def read() -> list[str]:
        splits = cached("watched", str(tmp_path), partial(_count, folder, times))
        return [example.text for example in splits.train]

    assert [read(), read()] == [["one"], ["one"]]
    assert len(times) == 1
    (folder / "a").write_text("two", encoding="utf-8")
    assert read() == ["two"]
    (folder / "b").write_text("three", encoding="utf-8")
    assert read() == ["two", "three"]
    assert len(times) == 3
    (folder / "a").write_text("two", encoding="utf-8")  # written again, the same
    assert read() == ["two", "three"]
    assert len(times) == 3


def test_what_is_made_of_something_kept_depends_on_its_files(tmp_path: Path) -> None:
    folder, times = tmp_path / "texts", list[int]()
    folder.mkdir()
    (folder / "a").write_text("one", encoding="utf-8")

    def inner() -> Splits:
        return cached("inner", str(tmp_path), partial(_count, folder, times))

    def outer() -> Splits:
        return cached("outer", str(tmp_path), inner)

    inner()
    assert outer().train[0].text == "one"
    (folder / "a").write_text("two", encoding="utf-8")
    assert outer().train[0].text == "two"


def test_two_plugins_of_one_name_and_key_keep_their_own(tmp_path: Path) -> None:
    found = []
    for flip in (0, 1):
        folder = tmp_path / str(flip)
        folder.mkdir()
        code = _PLUGIN.replace("SPLITS", 'cached("mine", "1", _build)')
        (folder / "mine.py").write_text(code, encoding="utf-8")
        _write(folder, flip)
        found.append(load_task("mine", folder).splits(16, 0).test[0].label)
    assert found == [0, 1]


def test_only_what_is_read_is_watched(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("x", encoding="utf-8")
    with watched() as found:
        (tmp_path / "out").write_text("y", encoding="utf-8")
        with (tmp_path / "in").open("rb") as file:
            file.read()
        import tasks.builtin.synthetic.stories  # noqa: F401
    assert found & {str(tmp_path / "in"), str(tmp_path / "out")} == {str(tmp_path / "in")}
    assert source_of(partial(_count, tmp_path)) == str(Path(__file__).absolute())


@pytest.mark.parametrize("by", ["pyarrow", "subprocess"])
def test_what_is_read_by_other_than_python_is_not_kept(by: str, tmp_path: Path) -> None:
    """Nothing tells when such a file changes."""
    import subprocess

    import pyarrow.csv

    path = tmp_path / "d.csv"

    def build() -> Splits:
        if by == "pyarrow":
            (text,) = pyarrow.csv.read_csv(str(path)).column("text").to_pylist()
        else:
            text = subprocess.run(["tail", "-1", path], capture_output=True, text=True).stdout
        return Splits([Example("0", text.strip(), 0)], [], [])

    for text in ("before", "after"):
        path.write_text(f"text\n{text}\n")
        assert cached("by", f"{by} {tmp_path}", build).train[0].text == text
