"""Every plug-in keeps the contract."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from tasks import Splits, Task, TaskError, discover, load_task
from tasks.conformance import violations
from tasks.rows import SCHEMA_ONLY

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
SWEEP = Path(__file__).parents[2] / "sweeps" / "laptop.yaml"


def _ready(name: str) -> Task:
    """The task; a skip, after a look at the message, where its data may be missing and is."""
    task = load_task(name)
    missing = ""
    try:
        task.prepare()
    except TaskError as error:
        missing = str(error)
    if not missing:
        return task
    assert task.metadata.needs_network, f"{name} must work here: {missing}"
    assert missing.startswith(f"{name}: ")
    assert "\n" not in missing
    pytest.skip("its data is not here")


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
        assert (SCHEMA_ONLY in said.description) == said.source.startswith(far), name
        if said.source.startswith((*far, "the Debian package ")):
            assert said.needs_network, name
        if any(word in said.source for word in here):
            assert not said.needs_network, name


@pytest.mark.parametrize("name", ALL)
def test_conforms(name: str, no_network: None) -> None:
    task = _ready(name)
    found = violations(task, max(128, task.metadata.min_length))
    if SCHEMA_ONLY in task.metadata.description:  # published splits stay as they are
        found = [line for line in found if " share " not in line]
    assert found == []


@pytest.mark.parametrize("name", ALL)
def test_second_use_is_fast(name: str) -> None:
    task = _ready(name)
    length = max(128, task.metadata.min_length)
    _read(task.splits(length, 0))
    start = time.process_time()
    _read(load_task(name).splits(length, 0))
    assert time.process_time() - start < 1


def _read(splits: Splits) -> None:
    splits.train[:512], splits.validation[:200], splits.test[:500]


def test_the_laptop_sweep_has_enough_examples() -> None:
    sweep = yaml.safe_load(SWEEP.read_text(encoding="utf-8"))
    for name in sweep["tasks"]:
        for length in sweep["lengths"]:
            train, validation, test = load_task(name).splits(length, 0)
            assert len(train) >= 512
            assert len(validation) >= 200
            assert len(test) >= 500
