"""Every plug-in keeps the contract."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from tasks import Splits, Task, TaskError, discover, load_task
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
SWEEP = Path(__file__).parents[2] / "sweeps" / "laptop.yaml"


def _missing(task: Task) -> str:
    """What the task says to be missing; "" where its data is here."""
    try:
        task.prepare()
    except TaskError as error:
        return str(error)
    return ""


def _is_said_well(missing: str, task: Task) -> bool:
    """Whether the data may be missing, and a line says so and how to get it."""
    named = missing.startswith(f"{task.metadata.name}: ")
    told = any(how in missing for how in ("hf download", "$LRA_DATA", "$LINUX_SOURCE"))
    return task.metadata.needs_network and named and told and missing.isprintable()


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
def test_conforms_or_says_what_is_missing(name: str, no_network: None) -> None:
    task = load_task(name)
    if missing := _missing(task):
        assert _is_said_well(missing, task), missing
        return
    found = violations(task, max(128, task.metadata.min_length))
    if task.metadata.schema_only:  # published splits stay as they are
        found = [line for line in found if " share " not in line]
    assert found == []


@pytest.mark.parametrize("name", ALL)
def test_second_use_is_fast_or_says_what_is_missing(name: str) -> None:
    task = load_task(name)
    if missing := _missing(task):
        assert _is_said_well(missing, task), missing
        return
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
