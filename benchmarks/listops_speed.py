"""How long 10,000 ListOps examples take on one core, at the Long Range Arena's bounds.

Prints one JSON line: the examples as drawn, and as a split yields them (half of what is drawn may
not stand in the training split). To reach: 10 s or less.

    python benchmarks/listops_speed.py [--examples 10000] [--length 2000]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tasks.listops import ListOps, bounds, expressions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--length", type=int, default=2000)
    given = parser.parse_args()
    low, high = bounds(given.length)

    start = time.perf_counter()
    drawn = list(itertools.islice(expressions([0], low, high), given.examples))
    drawing = time.perf_counter() - start

    start = time.perf_counter()
    train = ListOps().splits(given.length, seed=0).train[: given.examples]
    splitting = time.perf_counter() - start

    row = {
        "examples": len(train),
        "length": given.length,
        "symbols_mean": sum(text.count(" ") + 1 for text, _ in drawn) / len(drawn),
        "drawn_s": round(drawing, 2),
        "train_split_s": round(splitting, 2),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
