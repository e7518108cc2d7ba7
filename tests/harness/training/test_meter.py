"""The meter against allocations whose size is known."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

from harness.training.meter import MemoryMeter, Rate, Stopwatch

MIB = 2**20
CODE = """
import sys
import numpy as np
from harness.training.meter import MemoryMeter
meter = MemoryMeter("cpu")
def use(mib):
    block = np.ones(mib * 2**20, dtype=np.uint8)
    return int(block[::4096].sum())
meter.reset()
base = meter.current()
use(300)
first = meter.peak()
meter.reset()
use(100)
second = meter.peak()
print(base, first, second)
"""


def test_peaks_are_those_of_each_phase() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    base, first, second = map(int, done.stdout.split())
    assert 300 * MIB <= first - base < 320 * MIB
    assert 100 * MIB <= second - base < 120 * MIB


def test_what_is_held_now() -> None:
    # What was freed in pieces stays with the process, to be used again, until it is given back.
    first = np.ones(31 * MIB, dtype=np.uint8)  # freed, it raises the size that malloc keeps
    del first
    pieces = [np.ones(30 * MIB, dtype=np.uint8) for _ in range(12)]
    pin = np.ones(MIB, dtype=np.uint8)
    del pieces
    meter = MemoryMeter("cpu")
    meter.reset()
    before = meter.current()
    block = np.ones(200 * MIB, dtype=np.uint8)
    after = meter.current()
    assert before is not None
    assert after is not None
    assert 190 * MIB < after - before < 230 * MIB
    assert block[0] == pin[0] == 1


def test_rates() -> None:
    rate = Rate()
    for tokens, seconds in ((100, 1.0), (100, 2.0), (300, 1.0)):
        rate.add(tokens, seconds)
    assert rate.row("x", steady=False) == {
        "x": 125.0, "x_low": pytest.approx(75.0), "x_high": pytest.approx(200.0),
    }  # fmt: skip
    assert rate.row("x", steady=True)["x"] == 100.0
    assert Rate().row("x", steady=True) == {}


def test_a_phase_counts_also_when_it_raises() -> None:
    watch = Stopwatch()
    with suppress(ValueError), watch.phase("load"):
        time.sleep(0.02)
        raise ValueError
    assert 0.02 <= watch.seconds["load"] < 1
    assert watch.seconds["train"] == 0
