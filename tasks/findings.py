"""Quick checks of a task's data, for plans and cards. They read a bounded part of it, once.

`tasks.conformance` has all checks.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence

from harness.core.errors import printable
from tasks.base import Example, Splits, TaskMetadata
from tasks.contract import fault
from tasks.lib.duplicates import COMMON, SHARE, SHINGLE, near_duplicates

LETTERS = 5_000_000
"""Characters of a split that are checked."""

LAZY = 1_000
"""Examples that are checked of a split that makes or decodes them when they are read."""

PUBLISHED = 20_000
"""Examples of a published split that are compared with those of another."""

PER_LABEL = 100
"""Examples per label that must be checked before a label without an example is reported."""

_NAMED = 5
"""Names that a finding lists."""


def head(part: Sequence[Example], letters: int = LETTERS, lazy: int = LAZY) -> list[Example]:
    """Return the first `letters` characters of a split, and `lazy` examples that reading makes."""
    most = len(part) if isinstance(part, list | tuple) else lazy
    taken: list[Example] = []
    for example in itertools.islice(part, most):
        if letters <= 0:
            break
        taken.append(example)
        if not isinstance(example, Example):  # the contract reports it
            continue
        letters -= sum(len(text) for text in example[1:4] if isinstance(text, str))
    return taken


def quick_findings(metadata: TaskMetadata, splits: Splits) -> list[str]:
    """Return what the quick checks of the first examples find, one line each.

    They report class names that are empty or differ only in case or white space, empty texts,
    labels without an example, and texts that are in two splits. Examples that break the contract
    are left out (`tasks.contract` refuses them).
    """
    found = list(label_findings(metadata))
    heads: dict[str, list[Example]] = {}
    for name, part in zip(Splits._fields, splits, strict=True):
        heads[name] = [e for e in head(part) if not fault(metadata, e)]
        found += _empty(metadata, name, heads[name], len(part))
        found += _missing(metadata, name, heads[name], len(part))
    for one, two in itertools.combinations(heads, 2):
        if same := copies(metadata, heads[one], heads[two]):
            found.append(
                f"{same:,} of the {len(heads[two]):,} {two} texts looked at are in {one} as well"
            )
    return found


def label_findings(metadata: TaskMetadata) -> Iterator[str]:
    """Yield class names that look like mistakes: empty ones, and two names of one class."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for number, name in enumerate(metadata.labels):
        if not name.strip():
            yield f"the class {number} has an empty name ({name!r}): are labels missing?"
        alike[" ".join(name.split()).casefold()].append(name)
    for names in alike.values():
        if len(names) > 1:
            listed = ", ".join(repr(name) for name in names[:_NAMED])
            yield f"the classes {listed} differ only in case or white space"


def copies(metadata: TaskMetadata, one: Sequence[Example], two: Sequence[Example]) -> int:
    """Count the examples of `two` whose text is also in `one`; empty texts do not count."""
    content = metadata.task_type.content
    known = {content(example) for example in one if example.text.strip()}
    return sum(content(example) in known for example in two)


def near(
    metadata: TaskMetadata,
    examples: Sequence[Example],
    common: int = COMMON,
    shingle: int = SHINGLE,
    share: float = SHARE,
) -> list[tuple[int, int]]:
    """Return index pairs of near-duplicate examples; of two texts both, in either order."""
    texts = [metadata.task_type.texts(example) for example in examples]
    firsts = [text for text, *_ in texts]
    if all(len(both) == 1 for both in texts):
        return near_duplicates(firsts, common, shingle, share)
    size = len(texts)
    both_sides = [*firsts, *(both[-1] for both in texts)]
    tied = set(near_duplicates(both_sides, common, shingle, share))
    straight = {(i, j) for i, j in tied if j < size and (i + size, j + size) in tied}
    # The first text of one is the second of the other, and the other way round.
    crossed = {(i, j - size) for i, j in tied if i < j - size and (j - size, i + size) in tied}
    return sorted(straight | crossed)


def shared_with_train(metadata: TaskMetadata, splits: Splits) -> tuple[int, int, int]:
    """Return (n, tested, trained): n of `tested` test texts are in the first `trained` of train.

    Copies and near-duplicates (`lib.duplicates`) count, each test text once. Boilerplate (words
    that very many texts share) is ignored; how many is scaled to the part of the data that is read.
    """
    # Validation is read as well: boilerplate is counted over all texts.
    lazy = PUBLISHED if metadata.published_splits else LAZY
    train, held, test = (head(part, 2 * LETTERS, lazy) for part in splits)
    content = metadata.task_type.content
    known = {content(example) for example in train}
    # near_duplicates treats a text with very many copies as boilerplate: look for copies as well.
    tied = {k for k, example in enumerate(test) if content(example) in known}
    examples = [*train, *test, *held]
    share = len(examples) / max(1, sum(map(len, splits)))
    end = len(train) + len(test)
    for one, two in near(metadata, examples, max(2, round(COMMON * share))):
        if one < len(train) <= two < end:
            tied.add(two - len(train))
    return len(tied), len(test), len(train)


def _empty(
    metadata: TaskMetadata, name: str, examples: Sequence[Example], total: int
) -> Iterator[str]:
    of = f"{len(examples):,}" + ("" if len(examples) >= total else " looked at")
    if bare := sum(not example.text.strip() for example in examples):
        yield f"{bare:,} of the {of} {name} texts are empty"
    texts = map(metadata.task_type.texts, examples)
    if bare := sum(any(not other.strip() for other in others) for _, *others in texts):
        yield f"{bare:,} of the {of} second texts of {name} are empty"


def _missing(
    metadata: TaskMetadata, name: str, examples: Sequence[Example], total: int
) -> Iterator[str]:
    enough = len(examples) >= min(total, PER_LABEL * len(metadata.labels))
    if not examples or not enough:
        return
    there = {label for example in examples for label in metadata.task_type.labels(example)}
    lost = [label for k, label in enumerate(metadata.labels) if k not in there]
    if lost:
        listed = ", ".join(repr(printable(label)) for label in lost[:_NAMED])
        more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        yield f"{name} has no example of the class {listed}{more}"
