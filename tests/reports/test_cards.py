"""Task cards in the report: what a task is, and whether it needs its length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.cards import load_cards
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
    assert own.all("h2")[0].text == "Tasks: does this task need the length?"
    assert [h.text for h in own.all("h3")] == [
        "kernel: Linux, next token", "newsgroups: 20 Newsgroups, four topics",
    ]  # fmt: skip
    for told in (
        "Which of four topics a Usenet post is about",
        "A training example: “i saw the game … <b>cheers”; answer: “rec”.",
        "Source: the 20 Newsgroups corpus, by date",
        "revision 1.16", "licence: public posts", "citation: Lang, NewsWeeder, 1995",
        "metric: loss in nats per token, the lower the better",
        "From 128 to 512 tokens TF-IDF goes from 0.712 to 0.846 (+0.134) and majority stays at "
        "0.267; 100.0 % of the test texts are cut at 128 tokens, 65.0 % at 512.",
        "kernel: what is cut, and the baselines (in nats per token), at each length",
        "bigram goes from 5.100 to 5.000 (−0.100)",
        "Tokens in a test text before it is cut: min 310, p10 400, median 620",
    ):  # fmt: skip
        assert told in own.text, told
    tables = [rows(table) for table in own.all("table")]
    assert tables[0][0] == ["Length (tokens)", "Test texts cut", "unigram", "bigram"]
    assert tables[2] == [
        ["Length (tokens)", "Test texts cut", "majority", "TF-IDF"],
        ["128", "100.0 %", "0.267", "0.712"],
        ["512", "65.0 %", "0.267", "0.846"],
    ]
    assert tables[3][:3] == [
        ["", "train", "validation", "test"],
        ["examples", "7,000", "700", "1,500"],
        ["comp", "26.0 %", "25.7 %", "26.7 %"],  # of the 5,000 that were counted
    ]
    assert "labels of the first 5,000 examples" in own.text


def test_many_labels_are_summed_up(tmp_path: Path) -> None:
    labels = {"test": {f"label {n}": n for n in range(20)}}
    one = card(labels=labels, examples={"test": 190}, counted={})
    (_, table) = section(page(with_cards(tmp_path, one)), "tasks").all("table")
    body = rows(table)[2:]
    assert [row[0] for row in body[:2]] == ["label 19", "label 18"]
    assert body[-1] == ["8 other labels, together", "14.7 %"]  # (0 + … + 7) / 190


def test_without_cards_there_is_no_section(tmp_path: Path) -> None:
    write_run(tmp_path, [make_cell()])
    assert "tasks" not in anchors(page(tmp_path))


def test_a_card_with_one_length_answers_nothing(tmp_path: Path) -> None:
    one = card(rows=[{"length": 64, "truncated": None, "majority": None, "tfidf": 0.5}])
    own = section(page(with_cards(tmp_path, one)), "tasks")
    assert "It was looked at with 64 tokens only" in own.text
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
        ("{", "not valid JSON"), ("[1]", "not a JSON object"), ("[" * 100_000, "not valid JSON"),
        (" " * 2**20 + "{}", "more than 1 MiB"), ({}, "name is not a text"),
        (card(name=" "), "name is not a text"), (card(licence=["MIT"]), "licence is not a text"),
        (card(rows=[]), "rows is not a list of 1 to 64 lengths"), (card(rows="x"), "rows is not"),
        (card(rows=[3]), "rows holds something without a length"),
        (card(rows=[{"length": -1}]), "rows holds something without a length"),
        (card(rows=[{"length": 64, "tfidf": 1.2}]), "tfidf is not within 0 and 1"),
        (card(rows=[{"length": 64, "tfidf": "high"}]), "tfidf is not a number"),
        (card(rows=[{"length": 64, "truncated": -0.1}]), "truncated is not within 0 and 1"),
        (card(rows=[{"length": 64}] * 65), "rows is not a list of 1 to 64 lengths"),
        (card(baselines=["one"]), "baselines is not a list of two names"),
        (card(baselines=[1, 2]), "baselines is not a list of two names"),
        (card(examples={"train": "all"}), "examples holds something that is no count"),
        (card(examples={"train": -5}), "examples holds something that is no count"),
        (card(labels={"train": [1]}), "labels is not an object of 2000 counts at most"),
        (card(labels=["a"]), "labels is not an object of splits"),
        (card(tokens={"min": True}), "tokens holds something that is no count"),
    ],
)  # fmt: skip
def test_a_card_that_cannot_be_used_is_named_and_left_out(
    tmp_path: Path, bad: Any, reason: str
) -> None:
    folder = with_cards(tmp_path, bad, card())
    found, broken = load_cards(folder)
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
    assert "task cards that could not be used: <b>x.json (not a JSON object); card0.json" in told


def test_no_text_of_a_card_becomes_a_part_of_the_page(tmp_path: Path) -> None:
    one = poisoned(card())
    one["labels"]["test"][HOSTILE] = 3
    one["tokens"][HOSTILE] = 4
    one["examples"][HOSTILE] = 5
    one["baselines"] = [HOSTILE, HOSTILE + "2"]
    root = page(with_cards(tmp_path, one))
    check_harmless(root)
    assert section(root, "tasks").text.count("<script>alert(1)</script>") > 10
