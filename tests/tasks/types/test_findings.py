"""A quick look finds the mistakes that users made in silence, and nothing in right data."""

from __future__ import annotations

from typing import Any

import pytest

from tasks import Example, Family, Splits, load_task
from tasks.findings import LAZY, PER_LABEL, quick_findings, shared_with_train
from tasks.lib.rows import Rows
from tests.made_up import LABELLED, metadata


def _part(name: str, size: int, **fields: Any) -> list[Example]:
    given = {"label": -1, **fields}
    return [
        Example(f"{name}{k}", f"{name} {k} and some words of its own", **{**given, "label": k % 3})
        for k in range(size)
    ]


def _splits(**changed: list[Example]) -> Splits:
    whole = {name: _part(name, 30) for name in Splits._fields}
    return Splits(**{**whole, **changed})


def test_right_data_has_no_findings() -> None:
    assert quick_findings(metadata(), _splits()) == []


@pytest.mark.parametrize("name", ["newsgroups", "needle", "licences", "mnist_sequential"])
def test_the_data_of_this_project_has_no_findings(name: str) -> None:
    task = load_task(name)
    task.prepare()
    assert quick_findings(task.metadata, task.splits(task.metadata.lengths[0], 0)) == []


def test_each_mistake_is_counted_and_named() -> None:
    train, test = _part("train", 30), _part("test", 30)
    about = metadata(labels=("comp", "comp ", ""))
    found = quick_findings(about, _splits(test=[*test, *train[:4]]))
    assert found == [
        "the class 2 has an empty name (''): are labels missing?",
        "the classes 'comp', 'comp ' differ only in case or white space",
        "4 of the 34 test texts looked at are in train as well",
    ]
    empty = [e._replace(text=" ") if k < 2 else e for k, e in enumerate(test)]
    assert quick_findings(metadata(), _splits(test=empty)) == ["2 of the 30 test texts are empty"]
    fewer = [e for e in train if e.label]
    assert quick_findings(metadata(), _splits(train=fewer)) == [
        "train has no example of the class 'a'"
    ]


def test_a_rare_label_is_not_called_missing_after_a_few_examples() -> None:
    size = LAZY + 1_000
    last = Example("last", "the only one of its class", 2)
    rare = [e._replace(label=k % 2) for k, e in enumerate(_part("train", size - 1))] + [last]
    lazy = Rows(rare.__getitem__, range(size))
    assert LAZY >= 3 * PER_LABEL  # so that it is looked for
    splits = _splits()._replace(train=lazy)
    assert quick_findings(metadata(), splits) == ["train has no example of the class 'c'"]
    many = metadata(labels=tuple(f"class {k}" for k in range(LAZY // PER_LABEL + 1)))
    found = quick_findings(many, splits)
    assert not any(line.startswith("train") for line in found)


@pytest.mark.parametrize("family", LABELLED)
def test_copies_are_counted_by_what_a_family_holds(family: Family) -> None:
    fields = {"second": "the same second text"} if family == "pair" else {}
    fields |= {"labels": (0,)} if family == "multilabel" else {}
    train, test = _part("train", 30, **fields), _part("test", 30, **fields)
    near = test[3]._replace(text=" ".join([*train[5].text.split(), "and a few more words"]))
    test[:4] = [train[0], train[0]._replace(id="again"), train[1], near]
    counted = shared_with_train(metadata(family), Splits(train, [], test))
    assert counted[1:] == (30, 30)
    assert counted[0] in (3, 4)  # the changed one is a near-duplicate where its words suffice
    swapped = train[7]._replace(text=train[7].second, second=train[7].text)
    if family == "pair":
        assert shared_with_train(metadata(family), Splits(train, [], [swapped])) == (1, 1, 30)
