"""Facts hidden in real text: a short story whose sentences are scattered over Usenet postings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, ClassVar

from tasks.base import TaskMetadata, TokenCounter
from tasks.builtin.documents.newsgroups import Newsgroups
from tasks.builtin.synthetic import stories
from tasks.builtin.synthetic.curricula import (
    CURRICULA,
    WARM_UP,
    has_fewer_facts,
    has_repeated_tokens,
    repeat_each,
)
from tasks.builtin.synthetic.haystack import postings, stretch
from tasks.card import SPECIAL
from tasks.lib.lazy import Draw, Drawn, GeneratedTask
from tasks.lib.wordpiece import counts

if TYPE_CHECKING:
    from numpy.random import Generator

SIMPLER = 1 / 2
"""The share of training texts with a simpler story, under `warm_up`, in the tasks that have one."""

_WITH_SIMPLER: Mapping[str, str] = {
    **CURRICULA,
    WARM_UP: f"{CURRICULA[WARM_UP]} Half of the training texts have a simpler story.",
}


class _Facts(GeneratedTask):
    """A story of 6 or 12 facts among the words of real postings, and a question at the end.

    In the manner of BABILong. The facts keep their order; each is at a uniformly drawn position in
    a stretch of the newsgroups task's postings (training postings for training texts, and so on;
    runs of eight words that two splits share are removed from one of them). The stretch fills the
    length up to a few tokens, counted as the model counts, so no fact is cut off; the last word of
    the question can be lost where the first word of the text has more tokens than it would have
    after a space (SmolLM2: one text in 200). The postings contain no full stops, so the full stop
    after a fact marks its end. `stories.py` describes the stories and why word counts do not give
    the answer.
    """

    pinned_by = "version"
    curricula: ClassVar[Mapping[str, str]] = CURRICULA

    story: ClassVar[Callable[[Random], stories.Story]]
    simpler: ClassVar[Callable[[Random], stories.Story] | None] = None
    """Stories that half of the training texts have under `warm_up`."""

    def prepare(self) -> None:
        """Check and prepare the postings, and find the vocabulary."""
        Newsgroups().prepare()
        counts(["word"])
        postings()

    def draw_for(self, split: str, length: int, curriculum: str) -> Draw:
        """Texts of `length` tokens less a few."""
        return partial(self._draw, split, length - SPECIAL, curriculum)

    def _draw(
        self, split: str, room: int, curriculum: str, random: Generator, count: int
    ) -> list[Drawn]:
        token_counter = self.token_counter or counts
        draw = Random(int(random.integers(2**62)))
        labels = {name: label for label, name in enumerate(self.metadata.labels)}
        most = 1
        if has_repeated_tokens(curriculum):
            most = room // (self.metadata.min_length - SPECIAL)
        drawn = []
        for story in self._stories(draw, curriculum, count):
            times = _log_uniform(draw, most)
            text, position = self._write(draw, split, story, room // times, token_counter)
            if times > 1:
                words = text.split()
                rest = room - times * sum(token_counter(words))
                filler = stretch(draw, split, rest, token_counter)
                text = " ".join([*filler, *repeat_each(words, times)])
            drawn.append(Drawn(text, labels[story.answer], position=position))
        return drawn

    def _write(
        self, draw: Random, split: str, story: stories.Story, room: int, token_counter: TokenCounter
    ) -> tuple[str, float]:
        """Hide a story's facts in `room` tokens of postings, question included.

        Returns the text, and the share of its words before the first fact that the answer needs.
        """
        own = sum(token_counter(" ".join([*story.facts, story.question]).split()))
        hay = stretch(draw, split, room - own, token_counter)
        text, places = _hide(draw, hay, story.facts)
        return f"{text} {story.question}", places[story.first_needed] / len(text.split())

    def _stories(self, draw: Random, curriculum: str, count: int) -> list[stories.Story]:
        story, simpler = type(self).story, type(self).simpler
        kinds = [story] * count
        if curriculum == WARM_UP and simpler:
            kinds = [simpler if draw.random() < SIMPLER else story for _ in kinds]
        drawn = [kind(draw) for kind in kinds]
        if has_fewer_facts(curriculum):
            drawn = [stories.fewer_facts(draw, one) for one in drawn]
        return drawn


def _log_uniform(draw: Random, most: int) -> int:
    """Draw an integer from 1 to `most`, uniform on a logarithmic scale."""
    return int((most + 1) ** draw.random()) if most > 1 else 1


def _hide(draw: Random, hay: list[str], facts: list[str]) -> tuple[str, list[int]]:
    """Scatter facts over words, in their order. Returns the text and the words before each fact."""
    places = sorted(draw.randint(0, len(hay)) for _ in facts)
    lines = [" ".join(hay[a:b]) for a, b in zip([0, *places], [*places, len(hay)], strict=True)]
    mixed = [lines[0], *(x for pair in zip(facts, lines[1:], strict=True) for x in pair)]
    sizes = accumulate((len(fact.split()) for fact in facts), initial=0)
    starts = [place + size for place, size in zip(places, sizes, strict=False)]
    return " ".join(filter(None, mixed)), starts


def _metadata(name: str, title: str, labels: tuple[str, ...], generator: int) -> TaskMetadata:
    return TaskMetadata(
        name=name,
        title=title,
        description=(
            "The next word of the sentence that ends a Usenet text; facts scattered over the text "
            "determine it."
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
        slack=12,
        balanced=True,
    )


class FactsOne(_Facts):
    """Where did somebody go last? One fact decides between two places.

    A guess between the two places has an accuracy of 1/2; the place mentioned last, 1/3.
    """

    story = stories.one_fact
    metadata = _metadata(
        "facts_one",
        "One fact hidden in real text: where did she go last?",
        stories.PLACES,
        generator=8,
    )


class FactsTwo(_Facts):
    """Where was somebody before going to a place? Two facts and their order decide.

    A guess between the person's other two places has an accuracy of 1/2, as has the place mentioned
    just before, by anybody; a guess among the person's earlier places, .75. The simpler stories ask
    for one fact.
    """

    story = stories.two_facts
    simpler = stories.one_of_many
    curricula = _WITH_SIMPLER
    metadata = _metadata(
        "facts_two",
        "Two facts hidden in real text: where was she before?",
        stories.PLACES,
        generator=11,
    )


class FactsGave(_Facts):
    """What did somebody give somebody? One fact decides: the one with both people, in their order.

    A predictor that knows only the giver, or only the taker, has an accuracy of 1/2. In the simpler
    stories each person occurs in one fact.
    """

    story = stories.given
    simpler = stories.given_of_many
    curricula = _WITH_SIMPLER
    metadata = _metadata(
        "facts_gave",
        "A fact hidden in real text: what did she give him?",
        stories.GIFTS,
        generator=7,
    )


class FactsCount(_Facts):
    """How many things does somebody have? The person took three and dropped 0 to 3 of them.

    For each thing kept, the person went to a place and somebody else dropped something, so all of
    the person's facts, or all of the others', are needed. The person's last fact alone, or the
    story's last, gives an accuracy of 1/2; the person's last two, .61; the last three, .76.
    """

    story = stories.count
    metadata = _metadata(
        "facts_count",
        "Facts hidden in real text: how many has she?",
        stories.NUMBERS,
        generator=9,
    )
