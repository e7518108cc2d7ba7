"""Every plug-in keeps the contract, and the check sees each way of breaking it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from tasks import Example, Splits, Task, TaskMetadata, discover, load_task
from tasks.conformance import violations

SLOW = {"pysource"}  # reads a quarter of a gigabyte of Python the first time
ALL = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in discover()]
SWEEP = Path(__file__).parents[2] / "sweeps" / "laptop.yaml"


def test_no_plugin_is_broken() -> None:
    assert discover().broken == {}


@pytest.mark.parametrize("name", ALL)
def test_conforms(name: str, no_network: None) -> None:
    task = load_task(name)
    assert not task.metadata.needs_network
    task.prepare()
    assert violations(task, 128) == []


@pytest.mark.parametrize("name", ALL)
def test_second_use_is_fast(name: str) -> None:
    load_task(name).splits(128, 0)
    start = time.perf_counter()
    splits = load_task(name).splits(128, 0)
    splits.train[:512], splits.validation[:200], splits.test[:500]
    assert time.perf_counter() - start < 1


def test_the_laptop_sweep_has_enough_examples() -> None:
    sweep = yaml.safe_load(SWEEP.read_text(encoding="utf-8"))
    for name in sweep["tasks"]:
        for length in sweep["lengths"]:
            train, validation, test = load_task(name).splits(length, 0)
            assert len(train) >= 512
            assert len(validation) >= 200
            assert len(test) >= 500


def _words(draw: random.Random) -> str:
    return " ".join(str(draw.randrange(10**6)) for _ in range(30))


class _Right(Task):
    """A task that conforms, for the others to break."""

    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="right",
        title="t",
        description="d",
        labels=("first", "second"),
        source="s",
        revision="1",
        licence="l",
        citation="c",
        natural_length=30,
        lengths=(32,),
        balanced=True,
    )

    def parts(self, seed: int) -> dict[str, list[Example]]:
        draw = random.Random(0)
        parts = {
            part: [Example(f"{part}{i}", _words(draw), i % 2) for i in range(40)]
            for part in Splits._fields
        }
        random.Random(seed).shuffle(parts["train"])
        return parts

    def splits(self, length: int, seed: int) -> Splits:
        return Splits(**self.parts(seed))


def _broken(change: Callable[[dict[str, list[Example]], int], None]) -> Task:
    class Broken(_Right):
        def parts(self, seed: int) -> dict[str, list[Example]]:
            parts = super().parts(seed)
            change(parts, seed)
            return parts

    return Broken()


def test_a_right_task_has_no_violations() -> None:
    assert violations(_Right(), 32) == []


def _copy(parts: dict[str, list[Example]], seed: int) -> None:
    parts["train"][0] = parts["train"][0]._replace(text=parts["test"][0].text)


def _quote(parts: dict[str, list[Example]], seed: int) -> None:
    quoted = " ".join(parts["test"][3].text.split()[:15])
    example = parts["validation"][3]
    parts["validation"][3] = example._replace(text=f"re {quoted} {_words(random.Random(5))}")


def _range(parts: dict[str, list[Example]], seed: int) -> None:
    parts["test"][0] = parts["test"][0]._replace(label=2)


def _empty(parts: dict[str, list[Example]], seed: int) -> None:
    parts["test"][0] = parts["test"][0]._replace(text=" ")


def _same_id(parts: dict[str, list[Example]], seed: int) -> None:
    parts["test"][0] = parts["test"][0]._replace(id=parts["test"][1].id)


def _unbalanced(parts: dict[str, list[Example]], seed: int) -> None:
    parts["train"] = [e._replace(label=int(e.id[5:] in {"0", "1", "2"})) for e in parts["train"]]


def _one_label(parts: dict[str, list[Example]], seed: int) -> None:
    parts["validation"] = [e._replace(label=1) for e in parts["validation"]]


def _moving_test(parts: dict[str, list[Example]], seed: int) -> None:
    random.Random(seed).shuffle(parts["test"])


def _deaf(parts: dict[str, list[Example]], seed: int) -> None:
    parts["train"].sort()


def _by_chance(parts: dict[str, list[Example]], seed: int) -> None:
    random.shuffle(parts["train"])


def _header(parts: dict[str, list[Example]], seed: int) -> None:
    for i in range(0, 40, 10):
        example = parts["test"][i]
        parts["test"][i] = example._replace(text=f"Group: First. {example.text}")


def _nothing(parts: dict[str, list[Example]], seed: int) -> None:
    parts["validation"].clear()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_copy, "train and test share 1 texts"),
        (_quote, "validation and test share 1 near-duplicates"),
        (_range, "test has a label out of range"),
        (_empty, "test has an empty text"),
        (_same_id, "test has two examples with one id"),
        (_unbalanced, "balanced is stated as True"),
        (_one_label, "validation has no example of first"),
        (_moving_test, "the seed changes the validation or the test split"),
        (_deaf, "the seed does not change the order"),
        (_by_chance, "two readings with one seed differ"),
        (_header, "'first' begins"),
        (_nothing, "validation is empty"),
    ],
)
def test_each_way_of_breaking_the_contract_is_seen(
    change: Callable[[dict[str, list[Example]], int], None], complaint: str
) -> None:
    found = violations(_broken(change), 32)
    assert any(complaint in line for line in found), found
