"""Joins the results of two runs of one sweep: parts of it that ran at different times or places."""

from __future__ import annotations

from dataclasses import replace

from harness.core.folder import StoredRun
from harness.core.result import CellResult


def joined(run: StoredRun, earlier: StoredRun) -> StoredRun:
    """Return a run with the results of another one added.

    Of two results of a cell the one that started later is kept. Sweep and manifest are those of
    `run`, if it has some; the cells are those of both.
    """
    results = dict(earlier.results)
    for name, result in run.results.items():
        if name not in results or _started(results[name]) <= _started(result):
            results[name] = result
    manifest = (run if run.manifest.ids else earlier).manifest
    ids = [*dict.fromkeys([*(run.manifest.ids or ()), *(earlier.manifest.ids or ())])]
    finished = bool(ids) and {*ids} <= {*results}
    manifest = manifest.model_copy(update={"ids": ids or None, "finished": finished})
    return replace(
        run,
        results=results,
        manifest=manifest,
        sweep=run.sweep or earlier.sweep,
        predicted=earlier.predicted.updated(run.predicted),
    )


def _started(result: CellResult) -> str:
    return result.environment.started or ""
