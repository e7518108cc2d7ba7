"""The baselines of a task's card, with the sweep's own numbers where it has any.

A card's baselines are made from texts of their own number, a sweep's TF-IDF cells from those that
its arms are trained on. One task and length has one number in a report: that of the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from reports.cards import Card
from reports.files import BASELINE, Result
from reports.groups import Group
from reports.references import CONSTANT, constant_points
from reports.stats import by_arm_and_length, score_points
from reports.text import listed

_LINEAR = "TF-IDF"


@dataclass(frozen=True)
class Column:
    """A baseline under the name that a table gives it: its score by length."""

    name: str
    values: dict[int, float]


def columns_of(card: Card, run: str, training: Sequence[Group]) -> tuple[list[Column], ...]:
    """The columns of the first and of the second baseline of a card of this run.

    From the cells of the groups that this run is part of; the card's own numbers stand, under a
    name that says of how many texts, at lengths that no cell has.
    """
    groups = [
        g for g in training
        if g.key.task == card.name and run in g.runs and card.backbone in ("", g.key.backbone)
    ]  # fmt: skip
    constant = _within(card, [Column(CONSTANT, constant_points(g.results)) for g in groups])
    linear = _within(card, [column for g in groups for column in _linear(g)])
    scored = {int(r["length"]) for g in groups for r in g.results if _scored(r)}
    majority = {r.length: r.majority for r in card.rows}
    tfidf = {r.length: r.tfidf for r in card.rows}
    known = {length for column in constant for length in column.values}
    first = constant + _rest(card.baselines[0], majority, known)
    second = linear + _rest(_own_name(card), tfidf, scored)
    return first or [Column(card.baselines[0], {})], second or [Column(_own_name(card), {})]


def _within(card: Card, columns: Sequence[Column]) -> list[Column]:
    """The columns at the lengths of the card; those without a value are left out."""
    lengths = {row.length for row in card.rows}
    kept = [Column(c.name, {n: v for n, v in c.values.items() if n in lengths}) for c in columns]
    return [column for column in kept if column.values]


def _linear(group: Group) -> list[Column]:
    """The linear baselines of a group as its figures show them, named by their training texts."""
    found = []
    cells = [r for r in group.results if _scored(r)]
    points = score_points(group.results)
    for arm, lengths in by_arm_and_length(cells).items():
        shown = {p.length: p.value for p in points.get(arm, [])}
        values = {
            n: shown.get(n, fmean(float(r["score"]) for r in own)) for n, own in lengths.items()
        }
        texts = sorted({int(r["examples"]) for r in cells if r["arm"] == arm and r["examples"]})
        told = listed([f"{n:,}" for n in dict.fromkeys([*texts[:1], *texts[-1:]])], "to")
        plain = str(next(r.row.get("plain_arm", arm) for r in cells if r["arm"] == arm))
        extra = [part for part in arm.removeprefix(plain).strip(" ()").split(", ")
                 if part and not part.startswith("train ")]  # fmt: skip
        about = ", ".join([f"{told} training texts"] * bool(told) + extra)
        found.append(Column(f"{plain} ({about})" if about else plain, values))
    return found


def _scored(result: Result) -> bool:
    return result["method"] == BASELINE and result.ok and result["score"] is not None


def _rest(name: str, values: dict[int, float | None], known: set[int]) -> list[Column]:
    """The card's own numbers at lengths that the cells have none of."""
    left = {n: value for n, value in values.items() if value is not None and n not in known}
    return [Column(name, left)] if left else []


def _own_name(card: Card) -> str:
    """The second baseline; a linear one with the number of texts that it was trained on."""
    name = card.baselines[1]
    texts = sorted({row.train_texts for row in card.rows if row.train_texts is not None})
    if not texts or not name.startswith(_LINEAR):
        return name
    told = listed([f"{n:,}" for n in dict.fromkeys([texts[0], texts[-1]])], "to")
    return f"{name} ({told} training texts)"
