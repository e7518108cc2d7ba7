"""Task cards in the report: what a task is, and whether it needs its length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.core.card import read_cards
from reports.page import build_report
from tests.reports.conftest import make_cell, write_run
from tests.reports.made import card, loss_card
from tests.reports.pages import Node, anchors, check_harmless, read, rows, section
from tests.reports.test_hostile import HOSTILE, poisoned

pytestmark = pytest.mark.filterwarnings("error")


def with_cards(folder: Path, *cards: Any) -> Path:
    """A run folder with a cell of another task and these cards; a text is written as it is."""
    write_run(folder, [make_cell(task="another")])
    (folder / "cards").mkdir()
    for n, one in enumerate(cards):
        text = one if isinstance(one, str) else json.dumps(one)
        (folder / "cards" / f"card{n}.json").write_text(text, encoding="utf-8")
    return folder


def page(folder: Path) -> Node:
    return read(build_report([folder], folder / "report"))


def test_a_card_says_what_the_task_is_and_how_it_takes_to_length(tmp_path: Path) -> None:
    root = page(with_cards(tmp_path, card(), loss_card()))
    check_harmless(root)
    own = section(root, "tasks")
    assert own.all("h2")[0].text == "Tasks and their baselines by length"
    assert [h.text for h in own.all("h3")] == [
        "kernel: Linux, next token", "newsgroups: 20 Newsgroups, four topics",
    ]  # fmt: skip
    for told in (
        "Which of four topics a Usenet post is about",
        "kernel: truncated test texts and baselines (in nats per token) by length",
    ):  # fmt: skip
        assert told in own.text, told
    tables = [rows(table) for table in own.all("table")]
    assert tables[0][0] == ["Length (tokens)", "Test texts cut", "unigram", "bigram"]
    facts = {row[0]: row[1] for row in tables[4][1:]}
    assert facts["Training example, text"] == "i saw the game … <b>cheers"
    assert facts["Training example, answer"] == "rec"
    assert facts["Source"] == "the 20 Newsgroups corpus, by date"
    assert (facts["Revision"], facts["Licence"]) == ("1.16", "public posts")
    assert facts["Citation"] == "Lang, NewsWeeder, 1995"
    assert facts["Tokens of a test text"].startswith("min 310, p10 400, median 620")
    assert ["Metric", "loss in nats per token (lower is better)"] in tables[1]
    assert tables[3] == [
        ["Length (tokens)", "Test texts cut", "majority", "TF-IDF"],
        ["128", "100.0 %", "0.267", "0.712"],
        ["512", "65.0 %", "0.267", "0.846"],
    ]
    assert tables[5][:3] == [
        ["", "train", "validation", "test"],
        ["examples", "7,000", "700", "1,500"],
        ["comp", "26.0 %", "25.7 %", "26.7 %"],  # of the 5,000 that were counted
    ]
    assert "labels of the first 5,000 examples" in own.text


def test_many_labels_are_summed_up(tmp_path: Path) -> None:
    labels = {"test": {f"label {n}": n for n in range(20)}}
    one = card(labels=labels, examples={"test": 190}, counted={})
    (_, _, table) = section(page(with_cards(tmp_path, one)), "tasks").all("table")
    body = rows(table)[2:]
    assert [row[0] for row in body[:2]] == ["label 19", "label 18"]
    assert body[-1] == ["8 other labels", "14.7 %"]  # (0 + … + 7) / 190


def test_without_cards_there_is_no_section(tmp_path: Path) -> None:
    write_run(tmp_path, [make_cell()])
    assert "tasks" not in anchors(page(tmp_path))


def test_a_card_with_one_length_answers_nothing(tmp_path: Path) -> None:
    one = card(rows=[{"length": 64, "truncated": None, "majority": None, "tfidf": 0.5}])
    own = section(page(with_cards(tmp_path, one)), "tasks")
    assert rows(own.all("table")[0])[1] == ["64", "", "", "0.500"]


def test_the_same_card_of_two_runs_stands_once(tmp_path: Path) -> None:
    folders = [with_cards(tmp_path / name, card()) for name in "ab"]
    folders.append(with_cards(tmp_path / "c", card(revision="2")))
    root = read(build_report(folders, tmp_path / "out"))
    heads = [h.text for h in section(root, "tasks").all("h3")]
    assert heads == [
        "newsgroups: 20 Newsgroups, four topics (made-up (1))",
        "newsgroups: 20 Newsgroups, four topics (made-up (3))",
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{", "not valid JSON"), ("[1]", "Input should be"), ("[" * 100_000, "nested too deeply"),
        (" " * 2**20 + "{}", "more than 1 MiB"), ({}, "name "),
        (card(name=" "), "name is empty"), (card(licence=["MIT"]), "licence "),
        (card(rows=[]), "rows "), (card(rows="x"), "rows "),
        (card(rows=[3]), "rows.0 "),
        (card(rows=[{"length": -1}]), "rows.0.length "),
        (card(rows=[{"length": 64, "tfidf": 1.2}]), "1.2 is outside the range of accuracy"),
        (card(rows=[{"length": 64, "tfidf": "high"}]), "rows.0.tfidf is not a number"),
        (card(rows=[{"length": 64, "truncated": -0.1}]), "rows.0.truncated is negative"),
        (card(rows=[{"length": 64}] * 65), "rows "),
        (card(baselines=["one"]), "baselines"),
        (card(baselines=[1, 2]), "baselines"),
        (card(examples={"train": "all"}), "examples has a value that is not a count"),
        (card(examples={"train": -5}), "examples has a value that is not a count"),
        (card(labels={"train": [1]}), "labels.train is not an object of at most 2000 counts"),
        (card(labels=["a"]), "labels "),
        (card(tokens={"min": True}), "tokens has a value that is not a count"),
    ],
)  # fmt: skip
def test_a_card_that_cannot_be_used_is_named_and_left_out(
    tmp_path: Path, bad: Any, reason: str
) -> None:
    folder = with_cards(tmp_path, bad, card())
    found, broken = read_cards(folder)
    assert [one.name for one in found] == ["newsgroups"]
    ((name, told),) = broken
    assert name == "card0.json"
    assert told.startswith(reason)


def test_a_broken_card_is_named_on_the_page(tmp_path: Path) -> None:
    folder = with_cards(tmp_path, "{")
    (folder / "cards" / "<b>x.json").write_text("[]")
    root = page(folder)
    check_harmless(root)
    told = section(root, "tasks").text
    assert "task cards that cannot be used: <b>x.json (" in told


def test_no_text_of_a_card_becomes_a_part_of_the_page(tmp_path: Path) -> None:
    one = poisoned(card())
    one["labels"]["test"][HOSTILE] = 3
    one["tokens"][HOSTILE] = 4
    one["examples"][HOSTILE] = 5
    one["baselines"] = [HOSTILE, HOSTILE + "2"]
    root = page(with_cards(tmp_path, one))
    check_harmless(root)
    assert section(root, "tasks").text.count("<script>alert(1)</script>") > 10
