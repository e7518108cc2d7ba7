"""A card of this project's tasks is made once; a plug-in's each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.models.backbones import find_backbone
from harness.planning import cards
from tasks import Task, load_task
from tests.harness.tiny_backbones import write_task

BACKBONE = find_backbone("minilm")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The lengths of each card that is made, and not read from the cache."""
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "cache"))
    found: list[tuple[int, ...]] = []

    def card(task: Task, _: object, lengths: Any) -> dict[str, Any]:
        found.append(tuple(lengths))
        return {"revision": task.data_version(), "lengths": [*lengths]}

    monkeypatch.setattr(cards, "task_card", card)
    return found


def test_a_card_is_made_once_for_its_data_and_lengths(
    made: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = load_task("needle")
    first = cards.make_card(task, BACKBONE, [64])
    assert cards.make_card(task, BACKBONE, [64]) == first
    assert first == {"revision": task.data_version(), "lengths": [64]}
    assert made == [(64,)]
    cards.make_card(task, BACKBONE, [64, 128])
    cards.make_card(load_task("recall"), BACKBONE, [64])
    cards.make_card(task, replace(BACKBONE, revision="other"), [64])
    assert made == [(64,), (64, 128), (64,), (64,)]
    monkeypatch.setattr(type(task), "version", lambda _: "2")
    assert cards.make_card(task, BACKBONE, [64])["revision"] == "2"
    monkeypatch.setattr(cards, "_code", lambda: "other")
    cards.make_card(task, BACKBONE, [64])
    assert len(made) == 6


def test_the_card_of_a_plugin_is_made_each_time(
    made: list[tuple[int, ...]], tmp_path: Path
) -> None:
    folder = write_task(tmp_path / "plugins", "classification", ["a text", "another"])
    for _ in range(2):
        cards.make_card(load_task("odd", folder), BACKBONE, [16])
    assert made == [(16,), (16,)]
