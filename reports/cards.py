"""Task cards as read from a run folder: every field is checked, none of it is trusted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.values import LARGEST_SCORE as LOSSES
from harness.core.values import clean, number
from reports.metrics import METRICS


class Malformed(Exception):
    """What is wrong with a card file, in a few words."""


_BYTES, _CARDS, _SPLITS, _LABELS, _ROWS = 2**20, 200, 10, 2_000, 64
_TEXTS = (
    "title", "description", "family", "metric", "source", "revision", "licence", "citation",
)  # fmt: skip
_NAMES = ("majority", "TF-IDF")
_FINDINGS = 50


@dataclass(frozen=True)
class CardRow:
    """A task at a length: share of test texts that are cut, and two baselines in its metric.

    `train_texts`: how many texts the second is trained on; None where the card does not say.
    """

    length: int
    truncated: float | None
    majority: float | None
    tfidf: float | None
    train_texts: int | None = None


@dataclass(frozen=True)
class Card:
    """A task from its real data. Counts are by split; `labels` by split, then by label.

    `backbone`: whose tokens lengths are in; empty where the card does not say.
    """

    name: str
    texts: dict[str, str]
    example: dict[str, str]
    examples: dict[str, int]
    counted: dict[str, int]
    labels: dict[str, dict[str, int]]
    tokens: dict[str, float]
    rows: tuple[CardRow, ...]
    baselines: tuple[str, str]
    shared: dict[str, int]
    """`shared` of `tested` test texts are in the first `trained` of train, or nearly."""
    findings: tuple[str, ...]
    whole_texts: bool
    backbone: str = ""


def load_cards(run_dir: Path) -> tuple[list[Card], list[tuple[str, str]]]:
    """The cards of a run, by name; and (file name, reason) of those that cannot be used."""
    found: list[Card] = []
    broken: list[tuple[str, str]] = []
    for path in sorted((run_dir / "cards").glob("*.json"))[:_CARDS]:
        try:
            if path.stat().st_size > _BYTES:
                raise Malformed(f"more than {_BYTES // 2**20} MiB")
            found.append(_card(json.loads(path.read_text(encoding="utf-8"))))
        except Malformed as error:
            broken.append((clean(path.name), clean(error)))
        except OSError as error:
            broken.append((clean(path.name), clean(error.strerror or "cannot be read")))
        except (ValueError, RecursionError):
            broken.append((clean(path.name), "not valid JSON"))
    return sorted(found, key=lambda card: card.name), broken


def _card(data: Any) -> Card:
    if not isinstance(data, dict):
        raise Malformed("not a JSON object")
    name = data.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Malformed("name is not a text")
    texts = {}
    for key in _TEXTS:
        value = data.get(key)
        if value is not None and not isinstance(value, str):
            raise Malformed(f"{key} is not a text")
        texts[key] = clean(value or "")
    names = data.get("baselines")
    if names is None:
        names = _NAMES
    elif not isinstance(names, list) or [type(n) for n in names] != [str, str]:
        raise Malformed("baselines is not a list of two names")
    examples = _counts(data.get("examples"), "examples", _SPLITS)
    labels = data.get("labels") or {}
    if not isinstance(labels, dict) or len(labels) > _SPLITS:
        raise Malformed("labels is not an object of splits")
    rows = data.get("rows")
    if not isinstance(rows, list) or not 0 < len(rows) <= _ROWS:
        raise Malformed(f"rows is not a list of 1 to {_ROWS} lengths")
    metric = METRICS.get(texts["metric"])
    most = LOSSES if metric is None or metric.most is None else metric.most
    return Card(
        clean(name),
        texts,
        _example(data.get("example")),
        examples,
        examples | _counts(data.get("counted"), "counted", _SPLITS),
        {clean(split): _counts(part, "labels", _LABELS) for split, part in labels.items()},
        {k: float(v) for k, v in _counts(data.get("tokens"), "tokens", 20).items()},
        tuple(sorted((_row(row, most) for row in rows), key=lambda row: row.length)),
        (clean(names[0]), clean(names[1])),
        _counts(data.get("shared"), "shared", 3),
        _findings(data.get("findings")),
        data.get("whole_texts") is True,
        clean(data["backbone"]) if isinstance(data.get("backbone"), str) else "",
    )


def _example(values: Any) -> dict[str, str]:
    values = {} if values is None else values
    if not isinstance(values, dict) or {*map(type, values.values())} - {str}:
        raise Malformed("example is not an object of texts")
    return {key: clean(values[key]) for key in ("text", "second", "answer") if values.get(key)}


def _findings(values: Any) -> tuple[str, ...]:
    values = [] if values is None else values
    if not isinstance(values, list) or {*map(type, values)} - {str} or len(values) > _FINDINGS:
        raise Malformed(f"findings is not a list of {_FINDINGS} texts at most")
    return tuple(clean(line) for line in values)


def _counts(values: Any, what: str, most: int) -> dict[str, int]:
    if values is None:
        return {}
    if not isinstance(values, dict) or len(values) > most:
        raise Malformed(f"{what} is not an object of {most} counts at most")
    found = {}
    for key, value in values.items():
        count = number(value)
        if count is None or not 0 <= count < 2**53:
            raise Malformed(f"{what} holds something that is no count")
        found[clean(key)] = int(count)
    return found


def _row(row: Any, most: float) -> CardRow:
    length = number(row.get("length")) if isinstance(row, dict) else None
    if length is None or not 1 <= length < 2**53:
        raise Malformed("rows holds something without a length")
    texts = _within(row, "train_texts", 2**53)
    return CardRow(
        int(length),
        _within(row, "truncated", 1.0),
        _within(row, "majority", most),
        _within(row, "tfidf", most),
        None if texts is None else int(texts),
    )


def _within(row: dict[str, Any], key: str, most: float) -> float | None:
    value = number(row.get(key))
    if row.get(key) is not None and value is None and not isinstance(row[key], float):
        raise Malformed(f"{key} is not a number")
    if value is not None and not 0 <= value <= most:
        raise Malformed(f"{key} is not within 0 and {most:g}")
    return value
