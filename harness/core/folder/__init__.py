"""The run folder: its files, how they are written, and the one reader of result files.

sweep.yaml            the sweep as run (earlier versions stay as sweep.1.yaml, …)
manifest.json         every cell of the sweep, and the wall time of each run
cells/<id>.json       the result of a cell; <id>.retry1.json, … where it ran again
logs/<id>.log         what the cell's process printed, tracebacks included
predictions.json      what the cells were predicted to cost
cards/<task>.json     statistics of each task's data
kept/<id>/            the trained weights of a cell (`card.py` describes kept.json)
checkpoints/          of cells in training
results.csv, report/  made from the results
cells.jsonl.gz        in place of cells/ in a published folder (`packed.py`)
"""

from __future__ import annotations

from harness.core.folder.files import reason_of, write_atomically
from harness.core.folder.manifest import Manifest, RunTime, read_manifest
from harness.core.folder.names import (
    CARDS,
    CELLS,
    CHECKPOINTS,
    CSV,
    KEPT,
    LOGS,
    MANIFEST,
    PAGE,
    REPORT,
    SWEEP,
)
from harness.core.folder.reading import StoredRun, check_run_folder, iter_results, read_run
from harness.core.folder.writing import RunFolder, write_packed

__all__ = [
    "CARDS", "CELLS", "CHECKPOINTS", "CSV", "KEPT", "LOGS", "MANIFEST", "PAGE", "REPORT", "SWEEP",
    "Manifest", "RunFolder", "RunTime", "StoredRun", "check_run_folder", "iter_results",
    "read_manifest", "read_run", "reason_of", "write_atomically", "write_packed",
]  # fmt: skip
