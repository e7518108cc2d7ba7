"""From examples to batches: what is cut, what is kept, and for which family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.models.backbones import find_backbone
from harness.models.tokens import load_tokenizer
from harness.training.batches import encode, padded, random_batch
from tasks import Example
from tests.made_up import metadata

TOKENIZER = load_tokenizer(find_backbone("minilm"))


def one(text: str, length: int = 16) -> Any:
    return encode([Example("x", text, 1)], TOKENIZER, length, metadata(), keep_text=True)


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.text(max_size=12), max_size=60), length=st.integers(8, 40))
def test_never_longer_than_asked_and_kept_is_what_the_model_sees(
    words: list[str], length: int
) -> None:
    text = " ".join(words)
    cut = one(text, length)
    assert len(cut.ids[0]) <= length
    assert text.startswith(cut.kept[0])
    whole = len(TOKENIZER(text)["input_ids"])
    assert bool(cut.truncated) <= (whole > length)
    # the kept text alone gives the same tokens
    assert TOKENIZER(cut.kept[0])["input_ids"] == cut.ids[0]


def test_what_is_nothing_to_the_tokenizer_is_not_missed() -> None:
    assert one("0:0 0:0\x1b", 8).truncated == 0
    assert one("0:0 0:0 0", 8).truncated == 1


def test_what_stands_behind_a_very_long_word_is_not_lost() -> None:
    cut = one("a" * 5000 + " tail", 8)
    assert TOKENIZER.convert_ids_to_tokens(cut.ids[0]) == ["[CLS]", "[UNK]", "tail", "[SEP]"]
    assert cut.truncated == 0


def test_a_pair_keeps_something_of_both() -> None:
    pair = Example("x", "long " * 100, 2, second="short text")
    cut = encode([pair], TOKENIZER, 16, metadata("pair"), keep_text=True)
    assert len(cut.ids[0]) == 16
    assert cut.types is not None
    assert cut.types[0] == [0] * 13 + [1] * 3
    assert cut.kept == ["long " * 10 + "long\nshort text"]
    assert cut.truncated == 1
    (_, inputs, tokens) = next(padded(cut, [0], 1, 0))
    assert inputs["token_type_ids"].tolist() == list(cut.types)
    assert inputs["labels"].tolist() == [2]
    assert tokens == 16


def test_a_choice_has_a_row_for_each_answer_and_cuts_the_text_alone() -> None:
    examples = [
        Example(str(k), f"text {k} " + "long " * 50, k, "which one", choices=("this", "that there"))
        for k in (0, 1)
    ]
    cut = encode(examples, TOKENIZER, 16, metadata("choice"), keep_text=True)
    assert (len(cut), cut.rows, len(cut.ids)) == (2, 2, 4)
    assert [kept.split("\n")[1] for kept in cut.kept[:2]] == [
        "which one this",
        "which one that there",
    ]
    assert {len(row) for row in cut.ids} == {16}
    ((chosen, inputs, _),) = padded(cut, [1, 0], 2, 0)
    assert chosen == [1, 0]
    assert inputs["labels"].tolist() == [1, 0]
    assert inputs["input_ids"].tolist() == [*cut.ids[2:], *cut.ids[:2]]


def test_a_choice_that_leaves_no_room_and_unequal_choices_are_refused() -> None:
    wide = Example("x", "text", 0, "a very long question indeed " * 4, choices=("yes", "no"))
    with pytest.raises(ValueError, match="leave no room for a text"):
        encode([wide], TOKENIZER, 16, metadata("choice"))
    two, three = (Example("x", "t", 0, "q", choices=("y",) * n) for n in (2, 3))
    with pytest.raises(ValueError, match="the same number of choices"):
        encode([two, three], TOKENIZER, 16, metadata("choice"))


def test_several_labels_become_marks() -> None:
    examples = [Example("x", "t", labels=(0, 2)), Example("y", "t")]
    cut = encode(examples, TOKENIZER, 16, metadata("multilabel"))
    ((_, inputs, _),) = padded(cut, [0, 1], 2, 0)
    assert inputs["labels"].tolist() == [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


def test_padding_is_masked() -> None:
    cut = encode(
        [Example("x", "one two three", 0), Example("y", "one", 1)], TOKENIZER, 16, metadata()
    )
    ((_, inputs, tokens),) = padded(cut, [0, 1], 2, 0)
    assert inputs["attention_mask"].tolist() == [[1] * 5, [1, 1, 1, 0, 0]]
    assert inputs["input_ids"][1, 3:].tolist() == [0, 0]
    assert tokens == 8


def test_probes_are_full_and_the_same_again() -> None:
    batch = random_batch(100, 2, 64, seed=3)
    assert batch["input_ids"].shape == (2, 64)
    assert bool(batch["attention_mask"].all())
    assert torch.equal(batch["input_ids"], random_batch(100, 2, 64, seed=3)["input_ids"])
