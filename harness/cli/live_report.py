"""Rewrites the report while the training cells of a run go on."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.core.errors import log_traceback
from harness.core.result import CellResult

LEAST_SECONDS = 30.0
"""Before the first version of the report, and between two versions."""

_SHARE = 20
"""A report that takes a second is written every 20 seconds at most: 5 % of one core."""


class LiveReport:
    """Calls `write` after results of training cells.

    Never beside probes, whose times it would change: they start when all training cells have ended.

    Args:
        training: ids of the training cells that have no result yet.
        write: writes the report.
        first: seconds before the first version; None: LEAST_SECONDS, as a short run needs none.
    """

    def __init__(
        self, training: set[str], write: Callable[[], object], first: float | None = None
    ) -> None:
        self._training = training
        self._write = write
        self._next = time.monotonic() + (LEAST_SECONDS if first is None else first)

    def update(self, result: CellResult) -> None:
        """Take the result of a cell; write the report if it is time and other cells still train."""
        self._training.discard(result.id)
        if result.kind == "train" and self._training:
            self.write_if_due()

    def write_if_due(self) -> None:
        """Write the report if the last version is old enough."""
        if time.monotonic() < self._next:
            return
        start = time.monotonic()
        try:
            self._write()
        except Exception:  # the report at the end of the run shows the error
            log_traceback()
        end = time.monotonic()
        self._next = end + max(LEAST_SECONDS, _SHARE * (end - start))
