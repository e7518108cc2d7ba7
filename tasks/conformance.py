"""What every task must hold to, as one call: the tests of a plug-in need no more than this."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from tasks.base import Example, Splits, Task
from tasks.duplicates import near_duplicates

MOST = 5_000
"""Examples read of each split."""

HEAD = 200
"""Characters in which a label's own name must not give it away."""

BALANCED = 1.5
"""Most frequent over rarest label, in the training split of a task that says it is balanced."""


def violations(task: Task, length: int) -> list[str]:
    """Return what is wrong with a task's examples for `length` tokens; an empty list: nothing.

    Checked on the first MOST examples of each split: names and texts, labels in range and balanced
    as stated, the same seed giving the same, the test split the same for every seed, no text nor
    near-duplicate of it in two splits, no label given away by its own name at the beginning.
    """
    first, again, other = (_head(task.splits(length, seed)) for seed in (0, 0, 1))
    found = list(_shape(task, first))
    if first != again:
        found.append("two readings with one seed differ")
    if first.test != other.test or first.validation != other.validation:
        found.append("the seed changes the validation or the test split")
    if first.train == other.train and len(first.train) > 5:
        found.append("the seed does not change the order of the training split")
    found += _shared(first)
    found += _given_away(task, first)
    return found


def _head(splits: Splits) -> Splits:
    return Splits(*(list(part[:MOST]) for part in splits))


def _shape(task: Task, splits: Splits) -> Iterator[str]:
    labels = range(len(task.metadata.labels))
    for name, part in zip(Splits._fields, splits, strict=True):
        if not part:
            yield f"{name} is empty"
        if len({example.id for example in part}) < len(part):
            yield f"{name} has two examples with one id"
        if any(not example.text.strip() for example in part):
            yield f"{name} has an empty text"
        if any(example.label not in labels for example in part):
            yield f"{name} has a label out of range"
        missing = set(labels) - {example.label for example in part}
        if missing:
            names = ", ".join(task.metadata.labels[label] for label in sorted(missing))
            yield f"{name} has no example of {names}"
    counts = Counter(example.label for example in splits.train)
    balanced = max(counts.values(), default=0) <= BALANCED * min(counts.values(), default=0)
    if balanced != task.metadata.balanced:
        yield f"balanced is stated as {task.metadata.balanced}, and train has {dict(counts)}"


def _shared(splits: Splits) -> Iterator[str]:
    texts = [example.text for part in splits for example in part]
    side = [name for name, part in zip(Splits._fields, splits, strict=True) for _ in part]
    tied: Counter[tuple[str, str]] = Counter()
    for one, two in near_duplicates(texts):
        tied[side[one], side[two]] += 1
    parts = dict(zip(Splits._fields, splits, strict=True))
    for one_name, two_name in itertools.combinations(parts, 2):
        # A text with very many copies is a form to near_duplicates, so look for copies as well.
        same = {e.text for e in parts[one_name]} & {e.text for e in parts[two_name]}
        if same:
            yield f"{one_name} and {two_name} share {len(same)} texts"
        if near := tied[one_name, two_name]:
            yield f"{one_name} and {two_name} share {near} near-duplicates"


def _given_away(task: Task, splits: Splits) -> Iterator[str]:
    examples: Sequence[Example] = [example for part in splits for example in part]
    counts = Counter(example.label for example in examples)
    for label, name in enumerate(task.metadata.labels):
        if len(name) < 3:  # a digit, a letter: no name to give away
            continue
        word = re.compile(rf"\b{re.escape(name)}\b", re.IGNORECASE)
        seen = Counter(e.label for e in examples if word.search(e.text[:HEAD]))
        own = seen[label] / max(1, counts[label])
        others = (seen.total() - seen[label]) / max(1, len(examples) - counts[label])
        if own > 0.02 and own > 3 * others:
            yield f"'{name}' begins {own:.0%} of its own texts and {others:.0%} of the others"
