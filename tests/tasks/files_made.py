"""Small files of a user, for the tests of tasks in files."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tasks import OwnTasks, Task, load_task
from tasks.files import DataEntry

LABELS = ("billing", "technical")


def words(number: int, size: int = 30) -> str:
    """A text that no other number has."""
    draw = random.Random(number)
    return " ".join(f"w{draw.randrange(10**6)}" for _ in range(size))


def rows(count: int = 60, size: int = 30) -> list[list[str]]:
    """A text and one of two labels in each row."""
    return [[words(number, size), LABELS[number % 3 // 2]] for number in range(count)]


def write_csv(
    path: Path, table: Iterable[Sequence[Any]], head: Sequence[str] = ("body", "topic")
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *table])


def write_json(path: Path, table: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")


def entry(place: Path, /, **keys: Any) -> DataEntry:
    """An entry of a sweep file in the folder `place`."""
    return DataEntry.model_validate(keys).located(place)


def load(place: Path, /, **keys: Any) -> Task:
    """The task of an entry."""
    made = entry(place, **keys)
    return load_task(made.name, OwnTasks(entries=(made,)))
