"""Facts hidden in real text: a small story, its sentences scattered over Usenet postings."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, ClassVar

from tasks import stories
from tasks.base import Count, Example, Splits, Task, TaskMetadata
from tasks.cache import cached
from tasks.card import SPECIAL
from tasks.lazy import Drawn, generated
from tasks.newsgroups import Newsgroups
from tasks.wordpiece import counts

if TYPE_CHECKING:
    from numpy.random import Generator

RUN = 8
"""Words in a row that no two splits' postings may share."""

PRACTICE = 1 / 2
"""The share of a task's training texts that are practice, if it has any."""

_RULES = "1"
"""Raised when what is kept of the postings, or what is made of it, changes."""


class _Facts(Task):
    """A story of 6 or 12 facts among the words of real postings, and a question at the end.

    In the manner of BABILong: the facts stand in their order, each at a place drawn uniformly, in a
    stretch of the newsgroups task's postings (training postings for training texts, and so on; runs
    of eight words that two splits share are cut out of one). The stretch is as long as fills the
    length, counted as the model counts, but for at most a few tokens: no fact is cut off, and of
    the question the mark at most, where a text's first word has more tokens than it would have
    after a space (SmolLM2: one text of 200). Postings have no full stops
    here, so that the one after each fact shows where it ends. What the stories are like and why
    counts of words do not give the answer: `tasks/stories.py`. In training texts some of the
    facts that the answer does not need are left out, from none to all; with a `practice`, half of
    the training texts tell such stories instead: what can be learned first (`docs/learned.md`).
    With `insists`, a training text asks its question once to as often as fills half of what the
    facts leave, seldom as likely as often on a logarithmic scale, unless the question names an
    answer: a few words at the end of many are slow to be heard. Texts that are judged ask once.
    """

    story: ClassVar[Callable[[Random], stories.Story]]
    practice: ClassVar[Callable[[Random], stories.Story] | None] = None
    insists: ClassVar[bool] = False

    def prepare(self) -> None:
        """Check and prepare the postings, and find the vocabulary."""
        Newsgroups().prepare()
        counts(["word"])
        _postings()

    def splits(self, length: int, seed: int) -> Splits:
        """Texts of `length` tokens less a few; the seed draws the training texts."""
        name = self.metadata.name

        def texts(part: str) -> Sequence[Example]:
            made = generated(name, length, seed, partial(self._draw, part, length - SPECIAL))
            return getattr(made, part)  # type: ignore[no-any-return]

        return Splits(texts("train"), texts("validation"), texts("test"))

    def _draw(self, part: str, room: int, random: Generator, count: int) -> list[Drawn]:
        count_of = self.count or counts
        draw = Random(int(random.integers(2**62)))
        labels = {name: label for label, name in enumerate(self.metadata.labels)}
        drawn = []
        for one in self._tell(draw, part, count):
            facts = sum(count_of(" ".join(one.facts).split()))
            question = sum(count_of(one.question.split()))
            most = (room - facts) // 2 // question
            times = self._asks(draw, one, most) if part == "train" else 1
            hay = _stretch(draw, part, room - facts - times * question, count_of)
            text = " ".join([_hide(draw, hay, one.facts), *[one.question] * times])
            drawn.append(Drawn(text, labels[one.answer]))
        return drawn

    def _asks(self, draw: Random, one: stories.Story, most: int) -> int:
        """How often a training text asks: once, or up to `most` times on a logarithmic scale."""
        if not self.insists or not set(self.metadata.labels).isdisjoint(one.question.split()):
            return 1
        return int((most + 1) ** draw.random())

    def _tell(self, draw: Random, part: str, count: int) -> list[stories.Story]:
        story, practice = type(self).story, type(self).practice
        if part != "train":
            return [story(draw) for _ in range(count)]
        kinds = [practice if practice and draw.random() < PRACTICE else story for _ in range(count)]
        return [stories.easier(draw, one) for one in [kind(draw) for kind in kinds]]


def _hide(draw: Random, hay: list[str], facts: list[str]) -> str:
    """Scatter facts over words."""
    places = sorted(draw.randint(0, len(hay)) for _ in facts)
    lines = [" ".join(hay[a:b]) for a, b in zip([0, *places], [*places, len(hay)], strict=True)]
    mixed = [lines[0], *(x for pair in zip(facts, lines[1:], strict=True) for x in pair)]
    return " ".join(filter(None, mixed))


def _stretch(draw: Random, part: str, room: int, count_of: Count) -> list[str]:
    """Words of a split's postings that follow each other and fill so many tokens."""
    words = _words(part)
    ends = _ends(part, count_of)
    first = draw.randrange(len(words))
    # Tokens are counted round the end of the last posting, for the longest of texts even twice.
    goal = (ends[first - 1] if first else 0) + room
    rounds, rest = divmod(goal, ends[-1])
    stop = rounds * len(words) + bisect_right(ends, rest)
    return [words[place % len(words)] for place in range(first, stop)]


@lru_cache(maxsize=3)
def _words(part: str) -> list[str]:
    """The words of a split's postings."""
    return [word for example in getattr(_postings(), part) for word in example.text.split()]


@lru_cache(maxsize=3)
def _ends(part: str, count_of: Count) -> array[int]:
    """The tokens up to each word of a split's postings, itself included."""
    words = _words(part)
    different = list(dict.fromkeys(words))
    known = dict(zip(different, count_of(different), strict=True))
    return array("l", accumulate(map(known.__getitem__, words)))


def _postings() -> Splits:
    return cached("facts", f"{Newsgroups.metadata.revision} {_RULES}", _build)


def _build() -> Splits:
    """The newsgroups' postings less every run of words that stands in another split as well."""
    splits = Newsgroups().splits(Newsgroups.metadata.natural_length, 0)
    seen: set[str] = set()
    kept: dict[str, list[Example]] = {}
    for part in ("test", "validation", "train"):
        examples = sorted(getattr(splits, part))
        kept[part] = [e._replace(text=_without(e.text.split(), seen)) for e in examples]
        for example in examples:
            seen.update(_runs(example.text.split()))
    return Splits(**kept)


def _runs(words: list[str]) -> list[str]:
    return [" ".join(words[k : k + RUN]) for k in range(len(words) - RUN + 1)]


def _without(words: list[str], seen: set[str]) -> str:
    keep = [True] * len(words)
    for place, run in enumerate(_runs(words)):
        if run in seen:
            keep[place : place + RUN] = [False] * RUN
    return " ".join(word for word, kept in zip(words, keep, strict=True) if kept)


def _metadata(name: str, title: str, labels: tuple[str, ...], generator: int = 4) -> TaskMetadata:
    return TaskMetadata(
        name=name,
        title=title,
        description=(
            "A question at the end of a Usenet text, answered by facts that are scattered over it."
        ),
        labels=labels,
        source=f"generated here, in {Newsgroups.metadata.source}",
        revision=f"generator:{generator},{Newsgroups.metadata.revision}",
        licence="Apache-2.0 (this generator); " + Newsgroups.metadata.licence,
        citation=(
            "after Kuratov et al., BABILong, NeurIPS 2024, and Weston et al., Towards AI-Complete "
            "Question Answering, 2015"
        ),
        natural_length=1024,
        lengths=(128, 256, 512, 1024, 2048, 4096),
        min_length=96,
        balanced=True,
    )


class FactsOne(_Facts):
    """Where is somebody? One fact tells: the last of the two places he went to.

    A guess between them is right half of the time, the place named last, by anybody, a third.
    """

    story = stories.one_fact
    metadata = _metadata("facts_one", "One fact hidden in real text: where is she?", stories.PLACES)


class FactsTwo(_Facts):
    """Where was somebody before he went to a place? Two of his facts tell, and their order.

    A guess at either other place of his is right half of the time, as is the place named just
    before, by anybody; a guess at an earlier place of his, .75. Practice asks where somebody is:
    until a model can find one fact, it learns nothing of two.
    """

    story = stories.two_facts
    practice = stories.one_of_many
    insists = True
    metadata = _metadata(
        "facts_two",
        "Two facts hidden in real text: where was she before?",
        stories.SIGHTS,
        generator=7,
    )


class FactsGave(_Facts):
    """What did somebody give somebody? One fact tells: the one with both of them, in their order.

    Who reads only the giver, or only the taker, is right half of the time. Practice asks it of
    people of whom nothing else is told. The question has the words of the fact.
    """

    story = stories.given
    practice = stories.given_of_many
    insists = True
    metadata = _metadata(
        "facts_gave",
        "A fact hidden in real text: what did she give him?",
        stories.GIFTS,
        generator=3,
    )


class FactsCount(_Facts):
    """How many things does somebody have? He took three, and dropped none, some or all of them.

    As often as he did not, he went to a place, and the others dropped something: all his facts, or
    all of theirs, must be found. Who reads the last of his facts alone, or the story's last, is
    right half of the time; who reads the last two of his, .61, the last three, .76.
    """

    story = stories.count
    metadata = _metadata(
        "facts_count",
        "Facts hidden in real text: how many has she?",
        stories.NUMBERS,
        generator=5,
    )
