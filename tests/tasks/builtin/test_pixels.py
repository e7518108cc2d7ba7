"""A pixel is a token: with the real tokenizer, at every grey level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import TaskError
from tasks.builtin.lra.pixels import LEVELS, largest_side, pixel_texts, spaced
from tests.tasks.tokens import tokenizer


def test_every_grey_level_is_one_token_and_brighter_is_later() -> None:
    text = pixel_texts(np.arange(256, dtype=np.uint8)[None])[0]
    tokens = tokenizer().tokenize(text)
    assert tokens == text.split() == sorted(tokens)
    assert len(tokens) == 256
    assert len(set(tokens)) == LEVELS
    assert (tokens[0], tokens[-1]) == ("a", "z")
    ids = tokenizer()(text)["input_ids"]
    assert len(ids) == 258
    assert tokenizer().unk_token_id not in ids


@given(st.lists(st.lists(st.integers(0, 255), min_size=9, max_size=9), min_size=1, max_size=4))
def test_a_letter_tells_the_level_to_a_26th(images: list[list[int]]) -> None:
    for image, text in zip(images, pixel_texts(np.array(images, dtype=np.uint8)), strict=True):
        letters = text.split(" ")
        assert [ord(letter) - ord("a") for letter in letters] == [p * 26 // 256 for p in image]


def test_letters_keep_their_rows() -> None:
    assert spaced(np.array([[0, 1, 25], [2, 2, 2]])) == ["a b z", "c c c"]


def test_the_largest_side_that_fits() -> None:
    sides = [largest_side("t", n, (7, 14, 28)) for n in (51, 197, 198, 785, 786, 9999)]
    assert sides == [7, 7, 14, 14, 28, 28]
    with pytest.raises(TaskError, match=r"^t: 50 tokens hold no image: the smallest needs 51$"):
        largest_side("t", 50, (7, 14, 28))
