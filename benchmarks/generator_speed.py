"""Time to generate 10,000 examples on one core, with the sizes of the Long Range Arena.

    python benchmarks/generator_speed.py [--examples 10000]

Prints one JSON line per task. Goals: ListOps with up to 2000 symbols in 10 s, Pathfinder with 32
x 32 pixels in 60 s. The cache is empty at the start.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tasks.builtin.synthetic.listops import ListOps, bounds, expressions
from tasks.builtin.synthetic.pathfinder import PathfinderGenerated


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000)
    count = parser.parse_args().examples
    machine = {
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_LONG_CACHE"] = folder
        for row in (listops(count), pathfinder(count)):
            print(json.dumps({**row, **machine}), flush=True)


def listops(count: int, length: int = 2000) -> dict[str, object]:
    """Time the generator alone and the training split, which rejects half of the expressions."""
    low, high = bounds(length)
    start = time.perf_counter()
    drawn = list(itertools.islice(expressions([0], low, high), count))
    drawing = time.perf_counter() - start
    start = time.perf_counter()
    train = ListOps().splits(length, seed=0).train[:count]
    return {
        "task": "listops",
        "examples": len(train),
        "length": length,
        "symbols_mean": round(sum(text.count(" ") + 1 for text, _ in drawn) / len(drawn), 1),
        "drawn_s": round(drawing, 2),
        "train_split_s": round(time.perf_counter() - start, 2),
    }


def pathfinder(count: int, length: int = 1026) -> dict[str, object]:
    """Time the training split, written into an empty cache."""
    start = time.perf_counter()
    train = PathfinderGenerated().splits(length, seed=0).train[:count]
    return {
        "task": "pathfinder_generated",
        "examples": len(train),
        "length": length,
        "train_split_s": round(time.perf_counter() - start, 2),
    }


if __name__ == "__main__":
    main()
