"""Splits that are made when read: what is read does not depend on what was read before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.base import Splits
from tasks.lib import lazy
from tasks.lib.lazy import BLOCK, SIZES, Draw, Drawn
from tasks.lib.lazy import generated as generated_for

if TYPE_CHECKING:
    from numpy.random import Generator


def generated(name: str, length: int, seed: int, draw: Draw, **more: Any) -> Splits:
    """Splits that are all drawn alike."""
    return generated_for(name, length, seed, lambda _: draw, **more)


def numbers(random: Generator, count: int) -> list[Drawn]:
    return [Drawn(str(n), n % 2, f"@{n % 3}") for n in random.integers(0, 10**12, count).tolist()]


def short(random: Generator, count: int) -> list[Drawn]:
    return [Drawn(str(n), n % 2) for n in random.integers(0, 10, count).tolist()]


def test_it_is_a_sequence() -> None:
    test = generated("t", 64, 0, numbers).test
    every = list(test)
    assert len(every) == len(test) == SIZES["test"]
    assert len({example.id for example in every}) == len(every)
    assert test[-1] == every[-1] == test[len(every) - 1]
    assert test[BLOCK - 2 : BLOCK + 3] == every[BLOCK - 2 : BLOCK + 3]
    assert test[5:0:-2] == every[5:0:-2]
    assert every[7].id == f"test-0-7@{int(every[7].text) % 3}"
    for place in (len(every), -len(every) - 1):
        with pytest.raises(IndexError):
            test[place]


def test_the_last_example_is_the_same_read_first_or_last() -> None:
    assert generated("t", 64, 0, numbers).train[-1] == generated("t", 64, 0, numbers).train[99_999]
    one = generated("t", 64, 0, numbers)
    assert one.validation[600] == list(generated("t", 64, 0, numbers).validation)[600]


def test_name_split_length_and_training_seed_decide() -> None:
    base = generated("t", 64, 0, numbers)
    texts = [part[0].text for part in base]
    texts += [other.test[0].text for other in (generated("u", 64, 0, numbers),)]
    texts += [generated("t", 65, 0, numbers).test[0].text, base.test[BLOCK].text]
    texts += [generated("t", 64, 1, numbers).train[0].text]
    assert len(set(texts)) == len(texts)
    assert generated("t", 64, 1, numbers).test[0] == base.test[0]
    assert generated("t", 64, 1, numbers).validation[0] == base.validation[0]


def test_training_texts_may_be_drawn_in_another_way() -> None:
    plain = generated("t", 64, 0, numbers)
    taught = generated_for("t", 64, 0, lambda split: short if split == "train" else numbers)
    assert {len(example.text) for example in taught.train[:50]} == {1}
    assert min(len(example.text) for example in plain.train[:50]) > 1
    assert (taught.validation[:50], taught.test[:50]) == (plain.validation[:50], plain.test[:50])


def test_blocks_that_are_kept_are_not_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path))
    drawn: list[int] = []

    def draw(random: Generator, count: int) -> list[Drawn]:
        drawn.append(count)
        return numbers(random, count)

    def read(revision: str, length: int = 64, seed: int = 0) -> list[str]:
        splits = generated("t", length, seed, draw, keep_as=revision)
        return [part[0].text for part in splits]

    first = read("1")
    assert len(drawn) == len(list(tmp_path.iterdir())) == 3
    assert read("1") == first
    assert len(drawn) == 3
    assert read("1", seed=1)[1:] == first[1:]
    assert len(drawn) == 4
    assert read("2") == first
    assert read("1", length=65) != first
    assert len(drawn) == 10


def test_nothing_is_kept_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path))
    splits = generated("t", 64, 0, numbers)
    assert splits.test[0] == splits.test[0]
    assert list(tmp_path.iterdir()) == []


def test_no_more_than_a_block_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy, "BLOCK", 10)
    splits = generated("t", 64, 0, numbers)
    assert [len(splits.train[:25]), len(vars(splits.train)["_last"][1])] == [25, 10]
