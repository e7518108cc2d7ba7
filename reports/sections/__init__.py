"""The sections of the report, one file for each topic.

Each file registers its sections with `reports.blocks.section`: anchor, title, position on the page
and names of its figures. Adding a section or a figure takes one file here.
"""

from __future__ import annotations

import importlib
import pkgutil

from reports.blocks import SECTIONS, SectionType


def all_sections() -> list[SectionType]:
    """Import every module of this folder and return the sections in their order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return sorted(SECTIONS.values(), key=lambda one: (one.order, one.anchor))
