"""Names of the files and folders in a run folder."""

CELLS, LOGS, CARDS, REPORT = "cells", "logs", "cards", "report"
KEPT, CHECKPOINTS = "kept", "checkpoints"
SWEEP, MANIFEST, CSV, PAGE = "sweep.yaml", "manifest.json", "results.csv", "index.html"
