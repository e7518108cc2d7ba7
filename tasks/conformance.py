"""All checks of a task's data, as one call: the tests of a plug-in need no more than this."""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from statistics import median
from types import FrameType

from tasks.base import Example, Splits, Task, TaskMetadata
from tasks.contract import first_fault
from tasks.findings import label_findings, near
from tasks.network import refused

MOST = 5_000
"""Examples read of each split."""

EASIER = 1_000
"""Training texts read under each curriculum."""

AGAIN = 100
"""Examples of each split that a second use reads."""

CALLS = 3_000_000
"""Calls of functions in a second use, at most: about a second of processor time."""

HEAD = 200
"""Characters in which a label's own name must not give it away."""

BALANCED = 1.5
"""Most frequent over rarest label, in the training split of a task that says it is balanced."""


def violations(task: Task, length: int) -> list[str]:
    """Return what is wrong with a task's examples for `length` tokens; an empty list: nothing.

    Checked on the first MOST examples of each split:

    - Names, texts, and fields that the task type uses; names of classes.
    - Labels (or values) in range and balanced as declared.
    - One seed gives the same examples twice; validation and test are the same for every seed.
    - No text, nor a near-duplicate of it, is in two splits (unless the publishers made them:
      `tasks.findings.shared_with_train` counts those). Two texts are copied if both are, in either
      order: a passage may have several questions. Of a choice the text alone counts.
    - No label is given away by its own name at the beginning of the text.
    - Texts could fill the length if the metadata say so.
    - Training texts under each curriculum have the form, the labels and about the length of others.
    - No connection is opened that the metadata do not declare.
    - A second use of the data is quick: at most CALLS calls of functions.
    - The warnings of the task itself (`Task.data_warnings`).
    """
    with refused(not task.metadata.needs_network) as opened:
        first = task.splits(length, 0)
        if not isinstance(first, Splits):
            return [first_fault(task.metadata, first)]
        first = _head(first)
        again, other = (_head(task.splits(length, seed)) for seed in (0, 1))
        calls = _calls_of_second_use(task, length)
    if opened:
        return [f"opens a connection to {opened[0]}, which needs_network does not say"]
    if wrong := first_fault(task.metadata, first, MOST):
        return [wrong]
    found = [*task.data_warnings(), *_shape(task.metadata, first)]
    found += label_findings(task.metadata)
    found += _labels(task.metadata, first)
    if first != again:
        found.append("two readings with one seed differ")
    if first.test != other.test or first.validation != other.validation:
        found.append("the seed changes the validation or the test split")
    if first.train == other.train and len(first.train) > 5:
        found.append("the seed does not change the order of the training split")
    if calls > CALLS:
        found.append(
            f"a second use makes more than {CALLS:,} calls of functions: keep what was made "
            f"(tasks.lib.cache)"
        )
    found += _too_short(task.metadata, first, length)
    if not task.metadata.published_splits:
        found += _shared(task.metadata, first)
    found += _given_away(task.metadata, first)
    for name in task.curricula:
        found += (f"curriculum {name}: {line}" for line in _curriculum(task, name, length, first))
    return found


def _curriculum(task: Task, name: str, length: int, splits: Splits) -> Iterator[str]:
    """Check the training texts under a curriculum: their form, their labels and their length."""
    train, again = (task.training(length, 0, name)[:EASIER] for _ in range(2))
    if list(train) != list(again):
        yield "two readings with one seed differ"
    one = Splits(train, splits.validation, splits.test)
    if wrong := first_fault(task.metadata, one, MOST):
        yield wrong
        return
    yield from _shape(task.metadata, one)
    yield from _labels(task.metadata, one)
    own, plain = (sorted(len(e.text.split()) for e in s.train) for s in (one, splits))
    if own and plain and not plain[0] / 2 <= median(own) <= own[-1] <= 1.5 * plain[-1]:
        yield (
            f"training texts have {own[0]} to {own[-1]} words, without it {plain[0]} to {plain[-1]}"
        )


class _TooMany(BaseException):
    """Ends a use of the data that makes more than CALLS calls."""


def _calls_of_second_use(task: Task, length: int) -> int:
    """Count the calls of functions in which a new object reads the first examples.

    The count is the same on every machine, unlike a time; work inside one call is not counted.
    """
    fresh = type(task)()
    fresh.token_counter = task.token_counter
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")
        if calls > CALLS:
            raise _TooMany

    before = sys.getprofile()
    sys.setprofile(count)
    with suppress(_TooMany):
        try:
            _head(fresh.splits(length, 0), AGAIN)
        finally:
            sys.setprofile(before)
    return calls


def _head(splits: Splits, most: int | None = None) -> Splits:
    return Splits(*(list(part[: most or MOST]) for part in splits))


def _too_short(metadata: TaskMetadata, splits: Splits, length: int) -> Iterator[str]:
    """Check the characters, of which a text has at least about as many as tokens."""
    middle = median([len(e.text) + len(e.second) for e in splits.test] or [length])
    if length <= metadata.natural_length and middle < length / 2:
        yield (
            f"test texts for {length} tokens have {middle:g} characters (median), and a "
            f"natural_length of {metadata.natural_length} says that they fill them"
        )


def _named(splits: Splits) -> list[tuple[str, Sequence[Example]]]:
    return list(zip(Splits._fields, splits, strict=True))


def _shape(metadata: TaskMetadata, splits: Splits) -> Iterator[str]:
    kind = metadata.task_type
    for name, part in _named(splits):
        if not part:
            yield f"{name} is empty"
        if len({example.id for example in part}) < len(part):
            yield f"{name} has two examples with one id"
        if bare := sum(not example.text.strip() for example in part):
            yield f"{name} has an empty text ({bare:,} of {len(part):,})"
        for finding in dict.fromkeys(line for example in part for line in kind.findings(example)):
            yield f"{name} has {finding}"
        for field, empty in Example._field_defaults.items():
            own = field in ("label", "position", *kind.fields)
            if not own and any(getattr(example, field) != empty for example in part):
                yield f"{name} fills '{field}', which the family {metadata.family} does not have"


def _labels(metadata: TaskMetadata, splits: Splits) -> Iterator[str]:
    kind = metadata.task_type
    names = [n for e in splits.train[:1] for n in kind.label_names(metadata, e)]
    if not names:
        return
    for name, part in _named(splits):
        given = [kind.labels(example) for example in part]
        if any(list(labels) != sorted(set(labels)) for labels in given):
            yield f"{name} has labels that do not rise"
        missing = set(range(len(names))) - set(itertools.chain.from_iterable(given))
        if missing:
            lost = (names[label] or "''" for label in sorted(missing))
            yield f"{name} has no example of {', '.join(lost)}"
    counts = Counter(label for example in splits.train for label in kind.labels(example))
    rarest = min((counts[label] for label in range(len(names))), default=0)
    balanced = max(counts.values(), default=0) <= BALANCED * rarest
    if balanced != metadata.balanced:
        yield f"balanced is stated as {metadata.balanced}, and train has {dict(counts)}"


def _shared(metadata: TaskMetadata, splits: Splits) -> Iterator[str]:
    examples = [example for part in splits for example in part]
    side = [name for name, part in _named(splits) for _ in part]
    tied: Counter[tuple[str, str]] = Counter()
    for one, two in near(metadata, examples):
        tied[side[one], side[two]] += 1
    parts = dict(_named(splits))
    for one_name, two_name in itertools.combinations(parts, 2):
        # near_duplicates treats a text with many copies as boilerplate: look for copies as well.
        one_texts, two_texts = (
            {metadata.task_type.content(e) for e in parts[name]} for name in (one_name, two_name)
        )
        if same := one_texts & two_texts:
            yield f"{one_name} and {two_name} share {len(same)} texts"
        if ties := tied[one_name, two_name]:
            yield f"{one_name} and {two_name} share {ties} near-duplicates"


def _given_away(metadata: TaskMetadata, splits: Splits) -> Iterator[str]:
    kind = metadata.task_type
    examples: Sequence[Example] = [example for part in splits for example in part]
    counts = Counter(label for example in examples for label in kind.labels(example))
    for label, name in enumerate(metadata.labels):
        if len(name) < 3:  # a digit, a letter: no name to give away
            continue
        word = re.compile(rf"\b{re.escape(name)}\b", re.IGNORECASE)
        seen = [e for e in examples if word.search(f"{e.text[:HEAD]}\n{e.second[:HEAD]}")]
        hits = sum(label in kind.labels(example) for example in seen)
        own = hits / max(1, counts[label])
        others = (len(seen) - hits) / max(1, len(examples) - counts[label])
        if own > 0.02 and own > 3 * others:
            yield f"'{name}' begins {own:.0%} of its own texts and {others:.0%} of the others"
