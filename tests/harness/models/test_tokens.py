"""Tasks fill a length in the tokens of the model that reads them, whichever it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from harness.models.backbones import find_backbone
from harness.models.tokens import load_tokenizer, tokens_of, word_counter
from harness.training.batches import encode
from tasks import TaskError, load_task
from tasks.base import TokenCounter
from tasks.builtin.synthetic.listops import WORDS
from tasks.lib.wordpiece import counts
from tasks.words import COLOURS, NOUNS, one_token

FACTS = ["facts_one", "facts_two", "facts_gave", "facts_count"]
GENERATED = ["facts_one", "facts_count", "listops", "needle", "recall", "parity", "automaton"]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("facts_two", "facts_gave")]


@pytest.mark.parametrize("backbone", ["minilm", "smollm2"])
def test_words_are_counted_as_they_stand_in_a_text(backbone: str) -> None:
    found = find_backbone(backbone)
    tokenizer, count = load_tokenizer(found), word_counter(found)
    text = load_task("newsgroups").splits(64, 0).test[0].text.split()[:300]
    words = ["of", *text, "rebecca", "?", *WORDS]
    whole = len(tokenizer(" ".join(words), add_special_tokens=False)["input_ids"])
    assert sum(count(words[1:])) == whole - 1


def test_berts_are_those_that_tasks_count_by_themselves() -> None:
    count = word_counter(find_backbone("minilm"))
    assert list(count(WORDS)) == counts(WORDS) == [1] * len(WORDS)
    for name in FACTS:
        alone, read = load_task(name), load_task(name, token_counter=count)
        assert alone.splits(128, 0).test[:20] == read.splits(128, 0).test[:20]


@pytest.mark.parametrize("length", [128, pytest.param(512, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [*GENERATED, *SLOW])
def test_nothing_that_is_asked_for_is_cut_off(name: str, length: int) -> None:
    """With SmolLM2, to which a rare word or a number is more tokens than to BERT."""
    backbone = find_backbone("smollm2")
    task = load_task(name, token_counter=word_counter(backbone))
    part = task.splits(length, 0).test[:200]
    read = encode(part, load_tokenizer(backbone), length, task.metadata, keep_text=True)
    widths = [read.width(k) for k in range(len(read))]
    assert max(widths) <= length
    if name == "listops":
        assert read.truncated == 0
        return
    assert min(widths) >= length - max(8, task.metadata.slack)
    # A text's first word has no space before it and may be a few tokens more: at the worst the last
    # word is lost, which names nobody, and that seldom.
    assert read.truncated <= 4
    for example, kept in zip(part, read.kept, strict=True):
        assert example.text.startswith(kept)
        assert example.text[len(kept) :] in ("", " the", " is")


def small_vocabulary(size: int) -> TokenCounter:
    """How a byte-level BPE of so many entries, learned from postings, counts tokens."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    texts = [example.text for example in load_task("newsgroups").splits(64, 0).train[:1000]]
    often = " ".join([*COLOURS, "zero", "the", "is", ".", ""]) * 3000
    trainer = BpeTrainer(
        vocab_size=size, initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*texts, often], trainer)
    return lambda words: [len(tokenizer.encode(f" {word}").ids) for word in words]


def test_words_that_a_tokenizer_cuts_are_left_out() -> None:
    count = small_vocabulary(8000)
    assert {*count(NOUNS)} > {1, 2}
    for name in ("needle", "recall", "parity"):
        splits = load_task(name, token_counter=count).splits(256, 0)
        for example in [*splits.train[:100], *splits.test[:100]]:
            assert 250 <= sum(count(example.text.split())) <= 254


@pytest.mark.parametrize(
    ("name", "word"),
    [("needle", "pink"), ("recall", "."), ("needle_written", "is"), ("parity", "zero"),
     ("automaton", "black")],
)  # fmt: skip
def test_a_tokenizer_that_cuts_a_word_that_is_needed_is_said_to(name: str, word: str) -> None:
    def count(words: Sequence[str]) -> list[int]:
        return [1 + (one == word) for one in words]

    with pytest.raises(TaskError, match=f"splits the word '{re.escape(word)}'"):
        load_task(name, token_counter=count).splits(256, 0)


def test_a_refusal_names_a_word_that_is_cut() -> None:
    with pytest.raises(TaskError, match=f"'{NOUNS[20]}'"):
        one_token("made_up", lambda words: [1 + (w in NOUNS[20:]) for w in words], ["red"])
    few = one_token("made_up", lambda words: [1 + (w in NOUNS[32:]) for w in words], ["red"])
    assert few.nouns == NOUNS[:32]


def test_a_tokenizer_that_cuts_too_many_words_is_said_to() -> None:
    count = small_vocabulary(500)
    for name in ("needle", "recall", "parity", "needle_written"):
        with pytest.raises(TaskError, match=f"^{name}: .*'[a-z]+'"):
            load_task(name, token_counter=count).splits(256, 0)


def test_the_tokens_of_a_word_are_those_it_has_in_a_text() -> None:
    for name in ("minilm", "smollm2"):
        backbone = find_backbone(name)
        tokenizer = load_tokenizer(backbone)
        words = ["blue", "comp.graphics", "4", "antidisestablishment"]
        for word, ids in zip(words, tokens_of(backbone, words), strict=True):
            assert tokenizer.decode(ids).replace(" ", "") == word
            said = tokenizer(f"the sky is {word}", add_special_tokens=False)["input_ids"]
            assert said[-len(ids) :] == ids
