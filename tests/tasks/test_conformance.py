"""Every plug-in keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks import Task, discover, load_task
from tasks.base import MissingData
from tasks.conformance import violations

SLOW = {
    # These eight have quick tests of their own beside this.
    "facts_count",
    "facts_one",
    "facts_two",
    "facts_gave",
    "licences",
    "listops",
    "mnist_permuted",
    "mnist_sequential",
    "linux",  # reads a gigabyte of source code the first time
    "pathfinder_generated",  # draws 45,000 images
    "pydoc",  # parses a quarter of a gigabyte the first time, as the next two do
    "pysource",
    "pysource_lm",
}

ALL = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in discover()]
SWEEPS = Path(__file__).parents[2] / "sweeps"


def _with_data(name: str) -> Task:
    """The task; the test is skipped if its data is not on this machine."""
    task = load_task(name)
    try:
        task.prepare()
    except MissingData as error:
        assert task.metadata.needs_network
        pytest.skip(str(error))
    return task


def test_no_plugin_is_broken() -> None:
    assert discover().broken == {}


def test_data_from_elsewhere_is_said_to_be() -> None:
    """What is said of a source in words, once more by what is said in the other fields."""
    far, here = (
        ("the hub's ", "the official release: "),
        ("generated", "PyPI", "packages installed"),
    )
    for name, task in discover().items():
        said = task.metadata
        assert said.schema_only == said.source.startswith(far), name
        if said.source.startswith((*far, "the Debian package ")):
            assert said.needs_network, name
        if any(word in said.source for word in here):
            assert not said.needs_network, name


@pytest.mark.parametrize("name", ALL)
def test_conforms(name: str, no_network: None) -> None:
    task = _with_data(name)
    found = violations(task, max(128, task.metadata.min_length))
    if task.metadata.schema_only:  # published splits stay as they are
        found = [line for line in found if " share " not in line]
    assert found == []


def test_missing_data_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "BENCH_LONG_HUB", "LRA_DATA", "LINUX_SOURCE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    missing = {}
    for name, task in discover().items():
        if task.metadata.needs_network:
            try:
                task().prepare()
            except MissingData as error:
                missing[name] = error
    assert len(missing) >= 20
    for name, error in missing.items():
        message = str(error)
        assert message.startswith(f"{name}: ")
        assert any(how in message for how in ("hf download", "$LRA_DATA", "$LINUX_SOURCE"))
        assert message.isprintable()


@pytest.mark.parametrize("file", ["laptop.yaml", "newsgroups.yaml"])
def test_a_sweep_has_enough_examples(file: str) -> None:
    sweep = yaml.safe_load((SWEEPS / file).read_text(encoding="utf-8"))
    for name in sweep["tasks"]:
        for length in sweep["lengths"]:
            train, validation, test = load_task(name).splits(length, 0)
            assert len(train) >= sweep["train"]["examples"]
            assert len(validation) >= 30
            assert len(test) >= sweep["train"]["test_examples"]
