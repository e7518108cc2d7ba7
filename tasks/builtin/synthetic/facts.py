"""Facts hidden in real text: a small story, its sentences scattered over Usenet postings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Count, Example, Splits, Task, TaskMetadata
from tasks.builtin.documents.newsgroups import Newsgroups
from tasks.builtin.synthetic import stories
from tasks.builtin.synthetic.easier import drawn_out
from tasks.builtin.synthetic.haystack import postings, stretch
from tasks.card import SPECIAL
from tasks.lib.lazy import Drawn, generated
from tasks.lib.wordpiece import counts

if TYPE_CHECKING:
    from numpy.random import Generator

PRACTICE = 1 / 2
"""The share of a task's training texts that are practice, if it has any."""


class _Facts(Task):
    """A story of 6 or 12 facts among the words of real postings, and a question at the end.

    In the manner of BABILong: the facts stand in their order, each at a place drawn uniformly, in a
    stretch of the newsgroups task's postings (training postings for training texts, and so on; runs
    of eight words that two splits share are cut out of one). The stretch is as long as fills the
    length, counted as the model counts, but for at most a few tokens: no fact is cut off, and of
    the question the last word at most, where a text's first word has more tokens than it would have
    after a space (SmolLM2: one text of 200). Postings have no full stops
    here, so that the one after each fact shows where it ends. What the stories are like and why
    counts of words do not give the answer: `stories.py`. In training texts some of the
    facts that the answer does not need are left out, from none to all; with a `practice`, half of
    the training texts tell such stories instead: what can be learned first (`docs/learned.md`).
    A training text is a shorter one each word of which is told once to as often as fits, after
    words that fill what is left (why: `easier.retold`). Seldom is as likely as often, on a
    logarithmic scale. Texts that are judged tell once.
    """

    pinned_by = "version"

    story: ClassVar[Callable[[Random], stories.Story]]
    practice: ClassVar[Callable[[Random], stories.Story] | None] = None

    def prepare(self) -> None:
        """Check and prepare the postings, and find the vocabulary."""
        Newsgroups().prepare()
        counts(["word"])
        postings()

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
        most = room // (self.metadata.min_length - SPECIAL) if part == "train" else 1
        drawn = []
        for one in self._tell(draw, part, count):
            told = _times(draw, most)
            text = self._write(draw, part, one, room // told, count_of)
            if told > 1:
                rest = room - told * sum(count_of(text.split()))
                text = " ".join(
                    [*stretch(draw, part, rest, count_of), *drawn_out(text.split(), told)]
                )
            drawn.append(Drawn(text, labels[one.answer]))
        return drawn

    def _write(
        self, draw: Random, part: str, one: stories.Story, room: int, count_of: Count
    ) -> str:
        """Hide a story's facts in so many tokens of postings, its question included."""
        told = sum(count_of(" ".join([*one.facts, one.question]).split()))
        hay = stretch(draw, part, room - told, count_of)
        return f"{_hide(draw, hay, one.facts)} {one.question}"

    def _tell(self, draw: Random, part: str, count: int) -> list[stories.Story]:
        story, practice = type(self).story, type(self).practice
        if part != "train":
            return [story(draw) for _ in range(count)]
        kinds = [practice if practice and draw.random() < PRACTICE else story for _ in range(count)]
        return [stories.easier(draw, one) for one in [kind(draw) for kind in kinds]]


def _times(draw: Random, most: int) -> int:
    """Draw a number from 1 to `most`, on a logarithmic scale."""
    return int((most + 1) ** draw.random()) if most > 1 else 1


def _hide(draw: Random, hay: list[str], facts: list[str]) -> str:
    """Scatter facts over words."""
    places = sorted(draw.randint(0, len(hay)) for _ in facts)
    lines = [" ".join(hay[a:b]) for a, b in zip([0, *places], [*places, len(hay)], strict=True)]
    mixed = [lines[0], *(x for pair in zip(facts, lines[1:], strict=True) for x in pair)]
    return " ".join(filter(None, mixed))


def _metadata(name: str, title: str, labels: tuple[str, ...], generator: int) -> TaskMetadata:
    return TaskMetadata(
        name=name,
        title=title,
        description=(
            "The next word of a sentence that ends a Usenet text, told by facts scattered over it."
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
        slack=8,
        balanced=True,
    )


class FactsOne(_Facts):
    """Where did somebody go last? One fact tells, of the two places he went to.

    A guess between them is right half of the time, the place named last, by anybody, a third.
    """

    story = stories.one_fact
    metadata = _metadata(
        "facts_one",
        "One fact hidden in real text: where did she go last?",
        stories.PLACES,
        generator=7,
    )


class FactsTwo(_Facts):
    """Where was somebody before he went to a place? Two of his facts tell, and their order.

    A guess at either other place of his is right half of the time, as is the place named just
    before, by anybody; a guess at an earlier place of his, .75. Practice asks where somebody is:
    until a model can find one fact, it learns nothing of two.
    """

    story = stories.two_facts
    practice = stories.one_of_many
    metadata = _metadata(
        "facts_two",
        "Two facts hidden in real text: where was she before?",
        stories.PLACES,
        generator=10,
    )


class FactsGave(_Facts):
    """What did somebody give somebody? One fact tells: the one with both of them, in their order.

    Who reads only the giver, or only the taker, is right half of the time. Practice asks it of
    people of whom nothing else is told.
    """

    story = stories.given
    practice = stories.given_of_many
    metadata = _metadata(
        "facts_gave",
        "A fact hidden in real text: what did she give him?",
        stories.GIFTS,
        generator=6,
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
        generator=8,
    )
