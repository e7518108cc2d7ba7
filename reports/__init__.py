"""From result files to a table and a report. Needs no torch and knows nothing of the runner.

`read_results`, `write_csv`, `summary_table`, `readme_table` and `build_report` are the whole face.
They are fetched on first use: importing this package costs nothing, pandas and matplotlib come
later.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.page import build_report
    from reports.table import read_results, readme_table, summary_table, write_csv

__all__ = ["build_report", "read_results", "readme_table", "summary_table", "write_csv"]

_HOMES = {
    "build_report": "reports.page",
    "read_results": "reports.table",
    "readme_table": "reports.table",
    "summary_table": "reports.table",
    "write_csv": "reports.table",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'reports' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
