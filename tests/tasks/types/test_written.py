"""Tasks whose answer is written: the needle's question and the docstring's sentence."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tasks import Example, load_task
from tasks.builtin.documents.pydoc import SHORTEST, first_sentence, longest
from tasks.builtin.synthetic.needle import Needle
from tasks.words import COLOURS, NOUNS
from tests.tasks.tokens import tokenizer


def test_the_needle_is_in_the_text_and_answers_the_question() -> None:
    task = load_task("needle_written")
    for length in (96, 256):
        for example in task.splits(length, 0).test[:40]:
            thing = example.second.split()[-2]
            assert thing in NOUNS
            assert example.second == f"which colour is the {thing} ?"
            assert f"the {thing} is {example.answers[0]} ." in example.text
            assert sum(word in COLOURS for word in example.text.split()) == len(COLOURS)
            # the text, the question with what is around it, an answer and two special tokens
            taken = len(tokenizer()(f"{example.text} {example.second} answer :")["input_ids"])
            assert length - 14 <= taken + 4 <= length


def test_fewer_facts_leaves_out_statements_of_training_texts_only() -> None:
    splits = load_task("needle_written").splits_under(256, 0, "fewer_facts")

    def stated(examples: Sequence[Example]) -> set[int]:
        return {sum(word in COLOURS for word in e.text.split()) for e in examples[:200]}

    assert stated(splits.train) == set(range(1, 9))
    plain = load_task("needle_written").splits(256, 0).train
    assert stated(plain) == stated(splits.validation) == stated(splits.test) == {8}


def test_it_is_another_task_than_the_one_that_is_chosen() -> None:
    chosen = {e.text for e in Needle().splits(256, 0).test[:50]}
    written = load_task("needle_written").splits(256, 0).test[:50]
    assert not any(f"{e.text} {e.second}" in chosen for e in written)


_BODY = "\n".join(f"        value_{k} = self.first(value_{k}, {k})  # a comment" for k in range(60))
_MODULE = f'''
"""A module."""
import os

class Small:
    """A small class that is too short."""

class Big(Base):
    """Count what is there, once. Then more.

    And a paragraph.
    """

    def run(self):
        """A method's own docstring."""
{_BODY}

def bare():
    pass
'''


def test_what_is_asked_of_a_module() -> None:
    found = longest(_MODULE)
    assert found
    name, text, sentence = found
    assert (name, sentence) == ("Big", "Count what is there, once.")
    assert len(text) >= SHORTEST
    assert text.startswith("class Big(Base):\n    def run(self):\n        value_0 =")
    assert "docstring" not in text
    assert "comment" not in text
    assert "paragraph" not in text
    with pytest.raises(SyntaxError):
        longest(f"{_MODULE}\ndef (")


def test_the_longest_after_stripping_is_asked_of_and_of_two_the_first() -> None:
    """A comment makes one the longest in the file, and no longer where it is gone."""

    def function(name: str, lines: int, comment: str = "") -> str:
        body = "".join(f"    value_{n:03} = 1{n:03}\n" for n in range(lines))
        return f'def {name}():\n    """Count what is there, once."""\n{comment}{body}\n\n'

    long = "    # " + "a comment " * 1_000 + "\n"
    parts = [function("commented", 100, long), function("first", 120), function("other", 120)]
    assert [(longest("".join(some)) or "?")[0] for some in (parts, parts[::-1], parts[:1])] == [
        "first",
        "other",
        "commented",
    ]
    assert longest(function("short", 10, long)) is None
    assert longest(parts[1].replace('"""', "#")) is None


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Return the\n    mean. More words here.", ""),
        ("Return the weighted\n    mean of all x. More.", "Return the weighted mean of all x."),
        ("One two three four five\n\nMore.", "One two three four five"),
        ("word " * 31 + ".", ""),
        ("", ""),
    ],
)
def test_first_sentences(docstring: str, sentence: str) -> None:
    assert first_sentence(docstring) == sentence


@pytest.mark.slow
def test_the_real_modules() -> None:
    train, validation, test = load_task("pydoc").splits(512, 0)
    assert len(train) > 900
    assert len(validation) > 150
    assert len(test) > 500
    for example in [*train, *validation, *test]:
        (answer,) = example.answers
        assert 5 <= len(answer.split()) <= 30
        assert answer not in example.text
    folders = [
        {e.id.partition(":")[0].rpartition("/")[0] for e in part}
        for part in (train, validation, test)
    ]
    assert not folders[0] & folders[1]
    assert not folders[0] & folders[2]
