"""From result files to a DataFrame, tables and a report. Needs no torch.

The public names are imported on first use, because pandas and matplotlib take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.frame import load_results, write_csv
    from reports.page import build_report
    from reports.sections.overview import answers, readme_table, summary_table

__all__ = ["answers", "build_report", "load_results", "readme_table", "summary_table", "write_csv"]

_MODULES = {
    "load_results": "reports.frame",
    "write_csv": "reports.frame",
    "build_report": "reports.page",
    "answers": "reports.sections.overview",
    "readme_table": "reports.sections.overview",
    "summary_table": "reports.sections.overview",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'reports' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)
