"""Small folders in the format of the Long Range Arena's release, for what reads them."""

from __future__ import annotations

import csv
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.builtin.lra.lra_image import RECORD
from tasks.builtin.synthetic.listops import expressions

LISTOPS = {"min": "[MIN", "max": "[MAX", "med": "[MED", "sum": "[SM"}
TSV = "lra_release/lra_release/tsv_data"


def _nested(text: str) -> str:
    """An expression as the release writes it: `( ( ( [MAX 2 ) 9 ) ] )`."""
    open_calls: list[str] = []
    for word in text.split():
        if word == "]":
            done = f"( {open_calls.pop()} ] )"
        elif word in LISTOPS:
            open_calls.append(LISTOPS[word])
            continue
        else:
            done = word
        if not open_calls:
            return done
        open_calls[-1] = f"( {open_calls[-1]} {done} )"
    raise AssertionError("not closed")


def listops(folder: Path, rows: int = 300) -> Path:
    made = {}
    base = folder / "lra_release" / "listops-1000"
    base.mkdir(parents=True)
    for state, part in enumerate(("train", "val", "test")):
        draw = expressions([state], 500, 2000)
        made[part] = [next(draw) for _ in range(rows)]
        with (base / f"basic_{part}.tsv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(["Source", "Target"])
            writer.writerows([_nested(text), value] for text, value in made[part])
    return base / "basic_val.tsv"


def papers(folder: Path) -> Path:
    base = folder / TSV
    base.mkdir(parents=True)
    for part in ("train", "eval", "test"):
        draw = random.Random(part)
        lines = []
        for i in range(60):
            texts = [" ".join(f"w{draw.randrange(10**6)}" for _ in range(700)) for _ in range(2)]
            lines.append(f'{i % 2}.0\tP{i}\tQ{i}\t{texts[0]} "quoted\t{texts[1]}\n')
        (base / f"new_aan_pairs.{part}.tsv").write_text("".join(lines), encoding="utf-8")
    return base / "new_aan_pairs.eval.tsv"


def photos(folder: Path, rows: int = 150) -> Path:
    base = folder / "cifar-10-batches-bin"
    base.mkdir(parents=True)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        draw = np.random.default_rng(zlib.crc32(name.encode()))
        records = draw.integers(0, 256, (rows, RECORD), dtype=np.uint8)
        records[:, 0] = np.arange(rows) % 10
        (base / f"{name}.bin").write_bytes(records.tobytes())
    return base / "data_batch_2.bin"


def paths(folder: Path, side: int, rows: int) -> Path:
    base = folder / f"pathfinder{side}" / "curv_contour_length_14"
    (base / "metadata").mkdir(parents=True)
    draw = np.random.default_rng(side)
    for batch in range(12):
        lines = []
        (base / "imgs" / str(batch)).mkdir(parents=True)
        for i in range(rows):
            pixels = draw.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(base / "imgs" / str(batch) / f"sample_{i}.png")
            lines.append(f"imgs/{batch} sample_{i}.png {i} {(i + batch) % 2} 1.0 2 4 0.75\n")
        (base / "metadata" / f"{batch}.npy").write_text("".join(lines), encoding="utf-8")
    return base / "metadata" / "3.npy"


def reviews(folder: Path, rows: int = 50) -> Path:
    base = folder / "lra_release" / "aclImdb"
    for part in ("train", "test"):
        draw = random.Random(f"reviews {part}")
        for sentiment in ("neg", "pos"):
            (base / part / sentiment).mkdir(parents=True)
            for i in range(rows):
                text = " ".join(f"w{draw.randrange(10**6)}" for _ in range(40))
                path = base / part / sentiment / f"{i}_{7 if sentiment == 'pos' else 3}.txt"
                path.write_text(f"{text} é<br />", encoding="utf-8")
    return base / "train" / "pos" / "1_7.txt"


MAKE: dict[str, Callable[[Path], Path]] = {
    "lra_listops": listops,
    "lra_retrieval": papers,
    "lra_image": photos,
    "lra_pathfinder": lambda folder: paths(folder / "lra_release", 32, 20),
    "lra_pathx": lambda folder: paths(folder, 128, 4),
}
"""What writes a task's folder; it returns a file to damage."""
