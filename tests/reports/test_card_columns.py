"""One report has one TF-IDF score for a task and a length, or says of how many texts each is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reports.page import build_report
from tests.reports.conftest import write_run
from tests.reports.made import card
from tests.reports.pages import Node, check_harmless, read, rows, section
from tests.reports.test_joining import cell

pytestmark = pytest.mark.filterwarnings("error")


def linear(length: int, score: float, **more: Any) -> dict[str, Any]:
    return cell(length, "tfidf", accuracy=score, scores={"majority": 0.29}, **more)


def folder(path: Path, cells: list[dict[str, Any]], **changes: Any) -> Path:
    made = write_run(path, cells, name=path.name)
    (made / "cards").mkdir()
    about = {"backbone": "minilm", **changes}
    (made / "cards" / "n.json").write_text(json.dumps(card(**about)), encoding="utf-8")
    return made


def card_tables(root: Node) -> list[list[list[str]]]:
    tables = section(root, "tasks").all("table")
    return [rows(t) for t in tables if "Test texts cut" in t.text]


def test_the_card_shows_the_numbers_of_the_sweep(tmp_path: Path) -> None:
    """0.712 and 0.846 are those of the card's own 1,000 texts: the report must not show both."""
    a = folder(tmp_path / "a", [linear(128, 0.6), linear(512, 0.8), cell(128)])
    root = read(build_report([a], tmp_path / "out"))
    check_harmless(root)
    (table,) = card_tables(root)
    assert table[0][2:] == ["best constant answer", "TF-IDF (512 training texts)"]
    assert [row[2:] for row in table[1:]] == [["0.310", "0.600"], ["0.290", "0.800"]]
    assert not re.search(r"0\.712|0\.846|0\.267", root.text)
    assert "in tokens of minilm" in section(root, "tasks").text
    glance = {row[0]: row for row in rows(section(root, "overview").all("table")[1])}
    assert [value.split()[0] for value in glance["TF-IDF"][4:6]] == ["0.600", "0.800"]


def test_lengths_without_a_cell_have_the_cards_number_under_its_own_name(tmp_path: Path) -> None:
    own = [dict(row, train_texts=1000) for row in card()["rows"]]
    a = folder(tmp_path / "a", [linear(128, 0.6)], rows=own)
    (table,) = card_tables(read(build_report([a], tmp_path / "out")))
    head, first, second = table
    assert head[2:] == [
        "best constant answer", "majority", "TF-IDF (512 training texts)",
        "TF-IDF (1,000 training texts)",
    ]  # fmt: skip
    assert first[2:] == ["0.290", "", "0.600", ""]
    assert second[2:] == ["", "0.267", "", "0.846"]


def test_folders_of_other_training_sizes_name_both(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", [linear(128, 0.6)])
    b = folder(tmp_path / "b", [linear(128, 0.5, cell={"examples": 64})])
    root = read(build_report([a, b], tmp_path / "out"))
    (table,) = card_tables(root)  # the cards are one
    found = dict(zip(table[0], table[1], strict=True))
    assert found["TF-IDF (512 training texts)"] == "0.600"
    assert found["TF-IDF (64 training texts)"] == "0.500"
    arms = [row[0] for row in rows(section(root, "overview").all("table")[0])]
    assert {"TF-IDF (train 512)", "TF-IDF (train 64)"} <= {*arms}


def test_another_tokenizer_is_named_and_has_its_own_numbers(tmp_path: Path) -> None:
    other = {"backbone": "bert"}
    a = folder(tmp_path / "a", [linear(128, 0.6)])
    b = folder(tmp_path / "b", [linear(128, 0.5, cell=other)], **other)
    root = read(build_report([a, b], tmp_path / "out"))
    found = [dict(zip(table[0], table[1], strict=True)) for table in card_tables(root)]
    assert [row["TF-IDF (512 training texts)"] for row in found] == ["0.600", "0.500"]
    told = section(root, "tasks").text
    assert "in tokens of minilm" in told
    assert "in tokens of bert" in told


def test_a_failed_baseline_leaves_the_cards_number(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", [cell(128, "tfidf", status="timeout")])
    (table,) = card_tables(read(build_report([a], tmp_path / "out")))
    assert table[1][-1] == "0.712"


def test_cards_of_joined_folders_are_one_with_all_lengths(tmp_path: Path) -> None:
    short, long = card()["rows"]
    a = folder(tmp_path / "a", [linear(128, 0.6), linear(512, 0.65)], rows=[short])
    b = folder(tmp_path / "b", [linear(512, 0.7), linear(1024, 0.8)], rows=[short, long])
    (table,) = card_tables(read(build_report([a, b], tmp_path / "out")))
    assert [(row[0], row[-1]) for row in table[1:]] == [("128", "0.600"), ("512", "0.650")]
    (alone,) = card_tables(read(build_report([b], tmp_path / "alone")))
    assert [(row[0], row[-2]) for row in alone[1:]] == [("128", ""), ("512", "0.700")]
