"""Time to generate 10,000 Pathfinder images of 32 x 32 pixels on one core.

Prints one JSON line: the time to draw the images, and the time of a training split of the same size
with an empty cache. The goal is 60 s.

    python benchmarks/pathfinder_speed.py [--images 10000] [--side 32]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from tasks.builtin.synthetic.pathfinder import PathfinderGenerated, images


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, choices=(32, 64, 128, 256), default=32)
    given = parser.parse_args()

    random = np.random.default_rng(0)
    start, processor = time.perf_counter(), time.process_time()
    for _ in range(given.images // 500):
        images(random, 500, given.side)
    drawing, drawing_cpu = time.perf_counter() - start, time.process_time() - processor

    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_LONG_CACHE"] = folder
        start = time.perf_counter()
        train = PathfinderGenerated().splits(given.side**2 + 2, seed=0).train[: given.images]
        splitting = time.perf_counter() - start
        start = time.perf_counter()
        again = PathfinderGenerated().splits(given.side**2 + 2, seed=0).train[: given.images]
        reading = time.perf_counter() - start
    assert again == train

    row = {
        "images": len(train),
        "side": given.side,
        "drawn_s": round(drawing, 2),
        "drawn_cpu_s": round(drawing_cpu, 2),
        "train_split_s": round(splitting, 2),
        "train_split_again_s": round(reading, 2),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
