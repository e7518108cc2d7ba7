"""The card of a task: facts and baselines that show whether the task needs its length."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from tasks.base import Example, Splits, Task, TaskMetadata
from tasks.findings import quick_findings, shared_with_train
from tasks.lib.texts import A_TOKEN
from tasks.types.base import Answered, shown

Tokenizer = Callable[[str], Sequence[tuple[int, int]]]
"""From a text to the (start, end) of its tokens in characters, without special tokens."""

COUNTED = 5_000
"""Examples of a split whose labels are counted."""

TRAIN, TEST = 1_000, 500
"""Examples of train and test for the baselines; test examples for the lengths."""

_FINDINGS = 20
"""Findings in a card, at most."""

_SAID = {
    "best constant": "the best single answer for all of these test texts",
    "commonest answer": "the most frequent answer of these training texts",
}
"""Explanations of baselines."""

SPECIAL = 2
"""Special tokens of a text within a length; two texts have one more."""


def task_card(task: Task, tokenizer: Tokenizer, lengths: Sequence[int]) -> dict[str, Any]:
    """Return the card of a task: numbers, strings, lists and dictionaries only.

    - `example`: the first training example of the shortest length, shortened.
    - `examples`, `labels`: counts at the longest length, of labels as the task type counts them.
    - `tokens`: quantiles of the uncut length of the test examples there (all texts of the longest
      row), without special tokens.
    - `rows`: for each length, the shortest first, the share of test texts that are `truncated`, and
      the scores of the two `baselines` in the task's metric (`majority` and `tfidf`), trained on
      the first TRAIN texts and tested on the first TEST, all cut to the length.
    - `findings`: of a quick check at the shortest length.
    - `shared`: test texts that are also in train, or nearly: `shared` of `tested` test texts,
      compared with `trained` training texts.
    """
    metadata, kind = task.metadata, task.metadata.task_type
    unread = " Tested on data with the same columns only." if metadata.schema_only else ""
    longest, shortest = task.splits(max(lengths), 0), task.splits(min(lengths), 0)
    ends = _Ends(tokenizer)
    sizes = sorted(ends.size(example, metadata) for example in longest.test[:TEST])
    marks = {"min": 0.0, "p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "max": 1}
    return {
        **{
            field: getattr(metadata, field)
            for field in ("name", "title", "family", "metric", "source")
        },
        "description": metadata.description + unread,
        "revision": task.data_version(),
        **{field: getattr(metadata, field) for field in ("licence", "citation")},
        "curricula": dict(task.curricula),
        "baselines": list(kind.card_baselines),
        "examples": {name: len(part) for name, part in _parts(longest)},
        "example": _excerpt(metadata, shortest.train[0]),
        "counted": {name: min(COUNTED, len(part)) for name, part in _parts(longest)},
        "labels": {n: kind.counts(metadata, part[:COUNTED]) for n, part in _parts(longest)},
        "whole_texts": metadata.whole_texts,
        "findings": [*task.data_warnings(), *quick_findings(metadata, shortest)][:_FINDINGS],
        "shared": dict(
            zip(("shared", "tested", "trained"), shared_with_train(metadata, shortest), strict=True)
        ),
        "tokens": {mark: sizes[round(q * (len(sizes) - 1))] for mark, q in marks.items()},
        # From the longest on, so that what was read for it serves the others.
        "rows": [_row(task, ends, length) for length in sorted(lengths, reverse=True)][::-1],
    }


def render_card(card: dict[str, Any]) -> str:
    """Write a card as plain text, 100 columns wide but for long descriptions."""
    lines = [f"{card['name']}: {card['title']}", card["description"], ""]
    lines += [
        f"{field:<9} {card[field]}"
        for field in ("family", "metric", "source", "revision", "licence", "citation")
    ]
    lines += [f"curriculum {name}: {said}" for name, said in card["curricula"].items()]
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
    lines += ["", *(f"example, its {key}: {text}" for key, text in card["example"].items() if text)]
    quantiles = ", ".join(f"{mark} {value:,}" for mark, value in card["tokens"].items())
    lines += ["", f"tokens in a test text, without special tokens: {quantiles}", ""]
    first, second = card["baselines"]
    lines.append(f"{'length':>8}{'truncated':>12}{first:>19}{second:>18}")
    for row in card["rows"]:
        lines.append(
            f"{row['length']:>8}{row['truncated']:>12.1%}{row['majority']:>19.3f}"
            f"{row['tfidf']:>18.3f}"
        )
    lines.append(
        f"({card['metric']}: first {TRAIN:,} training and {TEST} test texts, cut to the length)"
    )
    lines += [f"({first}: {_SAID[first]})"] if first in _SAID else []
    lines += ["", *_known(card)]
    return "\n".join(lines)


def _known(card: dict[str, Any]) -> list[str]:
    """What is to be known of the texts: their lengths, what splits share, what looks wrong."""
    count = card["shared"]
    lines = [
        f"shared with train: {count['shared']:,} of {count['tested']:,} test texts "
        f"(copies and near-duplicates, looked for in {count['trained']:,} training texts)"
    ]
    if card["whole_texts"]:
        lines.append("a length is a maximum: texts that are shorter, read whole, are normal")
    return lines + [f"finding: {line}" for line in card["findings"]]


class _Ends:
    """Where each token of a text ends; kept, for most tasks have the same texts at every length.

    Of a text that is only cut a head is read, up to a space: no tokenizer here joins words, so that
    a head's tokens are those of the text.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._whole: dict[str, array[int]] = {}
        self._heads: dict[str, array[int]] = {}

    def __call__(self, text: str) -> array[int]:
        if text not in self._whole:
            self._whole[text] = self._read(text)
        return self._whole[text]

    def cut(self, text: str, room: int) -> str:
        """The first `room` tokens of a text."""
        if text in self._whole or len(text) <= A_TOKEN * room:
            ends = self(text)
        else:
            ends = self._heads.get(text, array("l"))
            if len(ends) <= room:
                head = text[: A_TOKEN * room].rpartition(" ")[0]
                ends = self._heads[text] = self._read(head)
            if len(ends) <= room:
                ends = self(text)
        return text[: ends[room - 1] if room else 0] if len(ends) > room else text

    def _read(self, text: str) -> array[int]:
        return array("l", (end for _, end in self._tokenizer(text)))

    def size(self, example: Example, metadata: TaskMetadata) -> int:
        """Tokens of the longest row of an example."""
        others = metadata.task_type.others(example)
        return len(self(example.text)) + max(len(self(other)) for other in others)


def _kept(example: Example, ends: _Ends, metadata: TaskMetadata, length: int) -> list[str]:
    """The rows of an example as a model reads them, cut as the harness cuts them.

    The longer of two texts loses its end, unless what follows the text is kept whole.
    """
    kind, room = metadata.task_type, _room(metadata, example, length)
    rows = []
    for other in kind.others(example):
        text, first = example.text, room - len(ends(other))
        if kind.two_texts(example) and not kind.keeps_others():
            short, long = sorted((len(ends(text)), len(ends(other))))
            most = max(room - short, room - room // 2) if short + long > room else long
            least = min(short, room // 2) if short + long > room else short
            longer = len(ends(text)) > len(ends(other))
            first, second = (most, least) if longer else (least, most)
            other = ends.cut(other, second)
        text = ends.cut(text, max(0, first))
        rows.append(f"{text}\n{other}" if other else text)
    return rows


def _room(metadata: TaskMetadata, example: Example, length: int) -> int:
    """Tokens for texts within a length."""
    kind = metadata.task_type
    return max(1, length - SPECIAL - kind.two_texts(example) - kind.reserved(metadata))


def _row(task: Task, ends: _Ends, length: int) -> dict[str, Any]:
    metadata, kind = task.metadata, task.metadata.task_type
    splits = task.splits(length, 0)
    train, test = splits.train[:TRAIN], splits.test[:TEST]

    def answered(examples: Sequence[Example]) -> Answered:
        rows = [row for example in examples for row in _kept(example, ends, metadata, length)]
        return Answered(rows, [kind.target(example) for example in examples])

    cut = sum(ends.size(e, metadata) > _room(metadata, e, length) for e in test) / len(test)
    known = answered(train if kind.has_baseline else [])
    first, second = kind.card_scores(known, answered(test), lambda t: len(ends(t)), metadata)
    return {
        "length": length, "truncated": cut, "majority": first, "tfidf": second,
        "train_texts": len(train), "test_texts": len(test),
    }  # fmt: skip


def _parts(splits: Splits) -> list[tuple[str, Sequence[Example]]]:
    return list(zip(Splits._fields, splits, strict=True))


def _excerpt(metadata: TaskMetadata, example: Example) -> dict[str, str]:
    """The texts and the right answer of an example, printable and of bounded length."""
    texts = {"text": shown(example.text), "second": shown(example.second)}
    answer = metadata.task_type.answer_text(metadata, example)
    return {**{key: text for key, text in texts.items() if text}, "answer": answer}
