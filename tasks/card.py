"""A task's card, made from its real data: does this task need its length at all?"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tasks.base import Example, Splits, Task
from tasks.baseline import tfidf_baseline

Tokenizer = Callable[[str], Sequence[tuple[int, int]]]
"""Text -> the (start, end) of its tokens in characters, without special tokens."""

COUNTED = 5_000
"""Examples of a split whose labels are counted (all of them, but for generated tasks)."""

TRAIN, TEST = 1_000, 500
"""Examples behind the baselines, and behind the lengths."""

SPECIAL = 2
"""Tokens that a model adds to a text; a length in tokens counts them."""


def task_card(task: Task, tokenizer: Tokenizer, lengths: Sequence[int]) -> dict[str, Any]:
    """Describe a task; the result holds numbers, strings, lists and dictionaries only.

    `examples` and `labels` are counted at the longest of `lengths`; `tokens` holds quantiles of
    the uncut length of the test texts there, without special tokens. `rows` has for each length:
    `truncated`, the share of test texts that are cut; `majority`, the accuracy of the training
    texts' most frequent label; and `tfidf`, that of TF-IDF with logistic regression trained on the
    first TRAIN texts. Both accuracies are on the first TEST test texts, cut to the length.
    """
    metadata = task.metadata
    longest = task.splits(max(lengths), 0)
    ends = _Ends(tokenizer)
    sizes = sorted(len(ends(example)) for example in longest.test[:TEST])
    marks = {"min": 0.0, "p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "max": 1}
    return {
        **{
            field: getattr(metadata, field)
            for field in ("name", "title", "description", "family", "metric", "source")
        },
        **{field: getattr(metadata, field) for field in ("revision", "licence", "citation")},
        "examples": {name: len(part) for name, part in _parts(longest)},
        "counted": {name: min(COUNTED, len(part)) for name, part in _parts(longest)},
        "labels": {name: _count(part, metadata.labels) for name, part in _parts(longest)},
        "tokens": {mark: sizes[round(q * (len(sizes) - 1))] for mark, q in marks.items()},
        "rows": [_row(task, ends, length) for length in lengths],
    }


def render_card(card: dict[str, Any]) -> str:
    """Write a card as plain text, 100 columns wide but for long descriptions."""
    lines = [f"{card['name']}: {card['title']}", card["description"], ""]
    lines += [
        f"{field:<9} {card[field]}"
        for field in ("family", "metric", "source", "revision", "licence", "citation")
    ]
    splits = list(card["examples"])
    label_width = max(len(label) for label in ["examples", *card["labels"][splits[0]]])
    lines += ["", " " * label_width + "".join(f"{name:>12}" for name in splits)]
    lines.append(
        f"{'examples':<{label_width}}"
        + "".join(f"{card['examples'][name]:>12,}" for name in splits)
    )
    for label in card["labels"][splits[0]]:
        shares = (card["labels"][name][label] / max(1, card["counted"][name]) for name in splits)
        lines.append(f"{label:<{label_width}}" + "".join(f"{share:>12.1%}" for share in shares))
    quantiles = ", ".join(f"{mark} {value:,}" for mark, value in card["tokens"].items())
    lines += ["", f"tokens in a test text: {quantiles}", ""]
    lines.append(f"{'length':>8}{'truncated':>12}{'majority':>12}{'TF-IDF':>12}")
    for row in card["rows"]:
        lines.append(
            f"{row['length']:>8}{row['truncated']:>12.1%}{row['majority']:>12.3f}"
            f"{row['tfidf']:>12.3f}"
        )
    lines.append(f"(accuracies: first {TRAIN:,} training and {TEST} test texts, cut to the length)")
    return "\n".join(lines)


class _Ends:
    """Where each token of a text ends; kept, for most tasks have the same texts at every length."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, array[int]] = {}

    def __call__(self, example: Example) -> array[int]:
        if example.text not in self._known:
            self._known[example.text] = array(
                "l", (end for _, end in self._tokenizer(example.text))
            )
        return self._known[example.text]


def _row(task: Task, ends: _Ends, length: int) -> dict[str, Any]:
    splits = task.splits(length, 0)
    train, test = splits.train[:TRAIN], splits.test[:TEST]
    room = max(1, length - SPECIAL)

    def cut(examples: Sequence[Example]) -> list[str]:
        kept = ((example.text, ends(example)) for example in examples)
        return [text[: e[room - 1]] if len(e) > room else text for text, e in kept]

    labels = [example.label for example in train]
    truth = [example.label for example in test]
    common = Counter(labels).most_common(1)[0][0]
    predicted = tfidf_baseline(cut(train), labels, cut(test))
    return {
        "length": length,
        "truncated": sum(len(ends(example)) > room for example in test) / len(test),
        "majority": truth.count(common) / len(truth),
        "tfidf": sum(p == y for p, y in zip(predicted, truth, strict=True)) / len(truth),
    }


def _parts(splits: Splits) -> list[tuple[str, Sequence[Example]]]:
    return list(zip(Splits._fields, splits, strict=True))


def _count(examples: Sequence[Example], labels: Sequence[str]) -> dict[str, int]:
    counts = Counter(example.label for example in examples[:COUNTED])
    return {name: counts[label] for label, name in enumerate(labels)}
