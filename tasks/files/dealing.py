"""Divides examples into splits: as a column or files say, or by a share of the texts."""

from __future__ import annotations

import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import accumulate

from tasks.base import Example, Splits, TaskMetadata
from tasks.files.entry import PARTS, DataEntry
from tasks.files.examples import Examples, Made, without_copies
from tasks.files.problems import Problems
from tasks.files.source import PART_NAMES
from tasks.findings import near, shared_with_train
from tasks.lib.duplicates import groups

LARGE = 0.2
"""Share of all texts in one group of near-duplicates that is reported."""

SHORT = 40
"""Words of a text that is also compared by short shingles."""

SHORT_SHINGLE, SHORT_SHARE = 4, 0.6
"""Texts of 14 words in which one word differs share 7 of 11 shingles."""

_PUNCTUATION = re.compile(r"[\W_]+")


def is_published(entry: DataEntry) -> bool:
    """Whether the entry says which rows are train and test."""
    return entry.split is not None or entry.format == "hub" or "" not in entry.places


def deal(
    entry: DataEntry, metadata: TaskMetadata, examples: Examples, problems: Problems
) -> Splits:
    """Return the splits, each in a fixed order that depends on the texts only.

    Near-duplicates are on one side of a share. They stay where a column or files put them, and
    are counted in a warning.
    """
    order, content = _Order(entry.seed), metadata.task_type.content
    kept = without_copies(examples, content, problems, keep=is_published(entry))
    if is_published(entry):
        parts = _published(entry, metadata, kept, order, problems)
    else:
        shared = [made.example for made in kept]
        parts = _shared_out(metadata, shared, entry.shares, PARTS, order, problems)
    for part in PARTS:
        if not parts[part] and not problems.errors:
            advice = "set another `seed`, or give more rows or a `split` column"
            problems.error("", f"the {part} split has no rows", advice)
    splits = Splits(**{part: sorted(parts[part], key=order.of) for part in PARTS})
    if is_published(entry) and not problems.errors:
        count, tested, _ = shared_with_train(metadata, splits)
        if count:
            problems.warn(
                "",
                f"{count:,} of the {tested:,} test texts are in train as well, copied or nearly",
                "the splits are used as given",
            )
    return splits


class _Order:
    """A pseudo-random order of texts that other texts do not change."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, example: Example) -> tuple[str, str]:
        """The place of an example in the order."""
        return self.digest(f"{example.text}\n{example.second}"), example.id

    def digest(self, text: str) -> str:
        data = f"{self._seed}\n{text}".encode("utf-8", "surrogatepass")
        return sha256(data).hexdigest()

    def fraction(self, digests: Iterable[str]) -> float:
        """A number from 0 to 1 for a group of texts."""
        return int(self.digest(min(digests))[:13], 16) / 16**13


def _shared_out(
    metadata: TaskMetadata,
    examples: Sequence[Example],
    shares: Sequence[float],
    names: Sequence[str],
    order: _Order,
    problems: Problems,
) -> dict[str, list[Example]]:
    """Divide groups of near-duplicates by a digest of their texts, in the given shares."""
    parts: dict[str, list[Example]] = {part: [] for part in PARTS}
    members: defaultdict[int, list[Example]] = defaultdict(list)
    for root, example in zip(_roots(metadata, examples), examples, strict=True):
        members[root].append(example)
    *ends, whole = accumulate(shares)
    for group in members.values():
        place = order.fraction(order.of(example)[0] for example in group) * whole
        parts[names[bisect(ends, place)]] += group
    largest = max(map(len, members.values()), default=0)
    if largest > max(1, LARGE * len(examples)):
        problems.warn(
            "",
            f"{largest:,} of {len(examples):,} texts are near-duplicates of each other",
            "they are all in one split; if they share only a form, add a `split` column",
        )
    return parts


def _roots(metadata: TaskMetadata, examples: Sequence[Example]) -> list[int]:
    """The group of each example: near-duplicates, and examples with equal texts."""
    first: dict[object, int] = {}
    content = metadata.task_type.content
    equal = [(first.setdefault(content(e), k), k) for k, e in enumerate(examples)]
    plain = [e._replace(text=_plain(e.text), second=_plain(e.second)) for e in examples]
    pairs = near(metadata, plain)
    # One changed word is in eight shingles of eight words: all that a short text has.
    short = [k for k, e in enumerate(plain) if len(f"{e.text} {e.second}".split()) <= SHORT]
    found = near(metadata, [plain[k] for k in short], shingle=SHORT_SHINGLE, share=SHORT_SHARE)
    pairs += [(short[one], short[two]) for one, two in found]
    return groups(len(examples), [*pairs, *equal])


def _plain(text: str) -> str:
    """A text without case and punctuation; one that is nothing else stays."""
    return _PUNCTUATION.sub(" ", text.casefold()).strip() or text


def _published(
    entry: DataEntry,
    metadata: TaskMetadata,
    made: Sequence[Made],
    order: _Order,
    problems: Problems,
) -> dict[str, list[Example]]:
    parts: dict[str, list[Example]] = {part: [] for part in PARTS}
    names = {name: part for part, name in entry.splits.items()}
    for example, row in made:
        part = row.file.part
        if entry.split:
            given = str(row.values.get(entry.split) or "").strip()
            part = names.get(given) or ("" if names else PART_NAMES.get(given.lower(), ""))
            if not part and names:
                what = f"the value {given!r} in the column '{entry.split}' is not under `splits`"
                problems.warn(row.file.shown, what, "left out", row.place)
                continue
            if not part:
                what = f"the value {given!r} in the column '{entry.split}' names no split"
                advice = "write what it means, as in `splits: {train: training, test: eval}`"
                problems.error(row.file.shown, what, advice, row.place)
                continue
        parts[part].append(example)
    if not parts["validation"] and parts["train"]:
        train, held, _ = entry.shares
        whole = parts["train"]
        parts |= _shared_out(
            metadata, whole, (train, held), ("train", "validation"), order, problems
        ) | {"test": parts["test"]}
    return parts
