"""The report: one HTML page that needs no network, and its figures as files beside it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import jinja2
import pandas as pd

from harness.core.folder import PAGE, write_atomically
from reports.blocks import CellTable, Explorer, Picture, Section, span
from reports.compare import Compared, compared, tested
from reports.figures.interactive import as_json, interactive, library, packed, packed_library
from reports.figures.printed import as_vectors
from reports.frame import Run, load_results, runs_of
from reports.groups import Group, Key, cost_groups, evaluation_groups, training_groups
from reports.sections import all_sections

_TEMPLATES = Path(__file__).parent / "templates"

MOST_PRINTED = 16
"""Of more figures, only these first ones are drawn for print, which takes 0.5 s for each."""


@dataclass(frozen=True)
class Report:
    """What every section gets: the results, their groups, and the folder of the page."""

    frame: pd.DataFrame
    out: Path = Path()

    @cached_property
    def runs(self) -> list[Run]:
        """The run folders."""
        return runs_of(self.frame)

    @cached_property
    def training(self) -> list[Group]:
        """Training cells that are compared with each other."""
        return training_groups(self.runs)

    @cached_property
    def comparisons(self) -> dict[Key, list[Compared]]:
        """The declared comparisons of each training group; all of them are one family of tests."""
        found = compared(self.training)
        return {group.key: own for group, own in zip(self.training, found, strict=True)}

    @property
    def family(self) -> int:
        """The number of comparisons that are tested together."""
        return sum(len(tested(own)) for own in self.comparisons.values())

    @cached_property
    def costs(self) -> list[Group]:
        """Probes (or training cells) whose costs are compared with each other."""
        return cost_groups(self.runs)

    @cached_property
    def evaluations(self) -> list[Group]:
        """Cells whose values of lm-eval are compared with each other."""
        return evaluation_groups(self.runs)


def build_report(
    run_dirs: Sequence[Path],
    out: Path,
    frame: pd.DataFrame | None = None,
    vector: bool = False,
    every: bool = False,
) -> Path:
    """Write `out`/index.html and its figures from run folders; return the path of the page.

    Results of several folders are joined by the rules of `joining.py`; the page says which folders
    were joined and why others were not. Nothing in the files is trusted: all text is escaped, and
    the page forbids requests and all scripts but its own.

    Args:
        run_dirs: run folders.
        out: the folder of the page.
        frame: `load_results(*run_dirs)`, if it was loaded before.
        vector: also write each figure as SVG and PDF, unless they are more than `MOST_PRINTED`.
        every: draw all figures for print, however many they are.
    """
    report = Report(load_results(*run_dirs) if frame is None else frame, out)
    kinds = all_sections()
    sections = [
        Section(kind.anchor, kind.title, blocks) for kind in kinds if (blocks := kind.build(report))
    ]
    title = ", ".join(dict.fromkeys(run.name for run in report.runs)) or "no run"
    pictures = [b for part in sections for b in part.blocks if isinstance(b, Picture)]
    if len(pictures) > MOST_PRINTED and not every:
        pictures, vector = pictures[:MOST_PRINTED], False
    html = rendered(title, dates(report.runs), sections, {b.stem for b in pictures})
    out.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        write_atomically(out / picture.name, picture.png)
        for end, content in as_vectors(picture.figure).items() if vector else ():
            write_atomically(out / f"{picture.stem}.{end}", content)
    _remove_old(out, [stem for kind in kinds for stem in kind.figures], pictures, vector)
    page = out / PAGE
    write_atomically(page, html)
    return page


def rendered(
    title: str, date: str, sections: Sequence[Section], printed: Set[str] | None = None
) -> str:
    """A page of sections; its data is JSON, and only its own scripts may run.

    `printed` are the stems of the figures that have a picture; None: all.
    """
    environment = _environment()
    blocks = [block for part in sections for block in part.blocks]
    figures = {b.stem: interactive(b.chart) for b in blocks if isinstance(b, Picture)}
    data = {
        "explore": next((b.data for b in blocks if isinstance(b, Explorer)), None),
        "cells": next((b.columns for b in blocks if isinstance(b, CellTable)), None),
    }
    script = environment.get_template("report.js.j2").render()
    return environment.get_template("index.html.j2").render(
        title=title,
        date=date,
        sections=sections,
        printed={*figures} if printed is None else printed,
        data={name: as_json(value) for name, value in data.items() if value},
        script=script,
        figures=packed(as_json(figures)),
        library=packed_library() if figures or data["explore"] else "",
        hashes=[_hash(script), _hash(library())],
    )


def _hash(script: str) -> str:
    """What the policy of the page allows a script by."""
    digest = b64encode(sha256(script.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _remove_old(out: Path, stems: Sequence[str], pictures: Sequence[Picture], vector: bool) -> None:
    """Remove figures of an earlier report; other files of the folder stay."""
    ends = ("png", "svg", "pdf") if vector else ("png",)
    names = {f"{picture.stem}.{end}" for picture in pictures for end in ends}
    figure = re.compile(rf"(?:{'|'.join(map(re.escape, stems))})(?:-[a-z0-9-]+)?\.(?:png|svg|pdf)")
    for path in out.iterdir():
        if figure.fullmatch(path.name) and path.name not in names:
            path.unlink()


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def dates(runs: Sequence[Run]) -> str:
    """The first and the last day on which cells ran."""
    days = sorted({str(r["started"])[:10] for run in runs for r in run.results if r["started"]})
    return span(days)
