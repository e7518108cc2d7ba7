"""100,000 documents are never tokenised in memory at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.conftest import ROOT

_PROGRAM = """
import random
from harness.models.backbones import find_backbone
from harness.models.tokens import load_tokenizer
from harness.training.batches import encode, padded
from harness.training.meter import MemoryMeter
from tasks import Example
from tasks.lib.rows import Rows
from tests.harness.training.test_batches import metadata

def make(number):
    draw = random.Random(number)
    return Example(f"train-{number}", " ".join(draw.choices(WORDS, k=64)), number % 3)

WORDS = "alpha beta gamma delta house river stone light north winter paper glass".split()
tokenizer = load_tokenizer(find_backbone("minilm"))
meter = MemoryMeter("cpu")
encode(Rows(make, range(600)), tokenizer, 64, metadata())  # what the libraries keep for themselves
meter.reset()
before = meter.current()
data = encode(Rows(make, range(100_000)), tokenizer, 64, metadata())
order = list(range(len(data)))
random.Random(0).shuffle(order)
read = sum(tokens for _, _, tokens in padded(data, order, 100, 0))
print(len(data), read, meter.peak() - before)
"""


@pytest.mark.slow
def test_memory_is_flat() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, cwd=ROOT, check=True
    )
    documents, tokens, grown = map(int, done.stdout.split())
    assert documents == 100_000
    assert tokens == 6_400_000
    # As Python's lists of numbers the tokens alone would take 51 MB for the places and more for
    # the numbers; a file's pages are not counted. Names, targets and ends take some 25 MB.
    assert grown < 48e6, f"{grown / 1e6:.0f} MB"
