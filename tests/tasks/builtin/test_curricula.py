"""Curricula: only the training texts change, and only as the name says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from tasks import Example, TaskError, discover, load_task
from tasks.builtin.synthetic.automaton import MARKS
from tasks.words import COLOURS
from tests.tasks.repeats import undo_repeats

from .test_facts import apart

ALL = ["fewer_facts", "repeat_tokens", "warm_up"]
OFFERED = {
    **dict.fromkeys(["needle", "recall", "mqar", "automaton"], ALL),
    **dict.fromkeys(["facts_one", "facts_two", "facts_gave", "facts_count"], ALL),
    "needle_written": ["fewer_facts", "warm_up"],
    "parity": ["repeat_tokens", "warm_up"],
}
REPEATED = [name for name, offered in OFFERED.items() if offered == ALL]


def facts(name: str, text: str) -> int:
    """The number of facts in a text."""
    if name.startswith("facts"):
        return len(apart(text)[0])
    if name == "automaton":
        return len(set(text.split()) & set(MARKS))
    if name == "needle":
        return len(re.findall(rf" is ({'|'.join(COLOURS)}) ", text))
    return sum(word in COLOURS for word in text.split())


def repeats(text: str) -> bool:
    """Whether at least a third of the words equal the word before."""
    words = text.split()
    return sum(one == two for one, two in pairwise(words)) > len(words) / 3


@pytest.mark.parametrize("name", OFFERED)
def test_without_one_no_text_repeats_its_words(name: str) -> None:
    """Otherwise scores over length would mix the length with a shift from train to test."""
    for part in load_task(name).splits(256, 0):
        assert not any(repeats(example.text) for example in part[:50])


def test_generated_tasks_offer_them() -> None:
    found = {name: sorted(task.curricula) for name, task in discover().items() if task.curricula}
    assert found == OFFERED


@pytest.mark.parametrize("name", REPEATED)
def test_each_does_what_its_name_says(name: str) -> None:
    task = load_task(name)
    splits = task.splits(256, 0)
    whole = min(facts(name, example.text) for example in splits.test[:200])

    def seen(examples: Sequence[Example]) -> tuple[bool, bool]:
        """Whether an unrepeated text lacks facts, and whether a text repeats its tokens."""
        texts = [example.text for example in examples[:200]]
        once = [text for text in texts if not repeats(text)]
        return any(facts(name, text) < whole for text in once), len(once) < len(texts)

    assert seen(splits.train) == seen(splits.test) == (False, False)
    assert seen(task.training(256, 0, "fewer_facts")) == (True, False)
    assert seen(task.training(256, 0, "repeat_tokens")) == (False, True)
    assert seen(task.training(256, 0, "warm_up")) == (True, True)


@pytest.mark.parametrize("name", ["needle", "facts_one"])
def test_repeat_tokens_keeps_all_facts(name: str) -> None:
    """In tasks whose number of facts does not depend on the length."""
    train = load_task(name).training(512, 0, "repeat_tokens")
    read = [undo_repeats(example.text) for example in train[:200]]
    whole = {"needle": 8, "facts_one": 6}[name]
    assert {facts(name, text) for k, text in read if k > 1} == {whole}


@pytest.mark.parametrize("name", OFFERED)
def test_the_other_splits_stay(name: str) -> None:
    task = load_task(name)
    plain = task.splits(256, 0)
    assert list(task.training(256, 0, "none")[:50]) == list(plain.train[:50])
    for curriculum in task.curricula:
        splits = task.splits_under(256, 0, curriculum)
        assert list(splits.train[:50]) != list(plain.train[:50])
        assert list(splits.test[:50]) == list(plain.test[:50])
        assert list(splits.validation[:50]) == list(plain.validation[:50])


@pytest.mark.parametrize("name", ["needle", "newsgroups"])
def test_one_that_a_task_does_not_offer_is_refused(name: str) -> None:
    with pytest.raises(TaskError, match=r"no curriculum 'sorted'; available: none"):
        load_task(name).training(128, 0, "sorted")


@pytest.mark.parametrize("value", ["['repeat_tokens']", "{'none': 'x'}", "{1: 'x'}", "None"])
def test_a_plugin_with_malformed_curricula_is_broken(tmp_path: Path, value: str) -> None:
    (tmp_path / "mine.py").write_text(
        "from tasks.builtin.synthetic.parity import Parity\n"
        f"class Mine(Parity):\n    curricula = {value}\n"
        "    metadata = Parity.metadata.model_copy(update={'name': 'mine'})\n"
    )
    assert "Mine.curricula" in discover(tmp_path).broken["mine"]
