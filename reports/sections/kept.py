"""Trained models that are kept in the run folders, and the lines that load them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from harness.core.card import KeptModel, read_kept
from harness.core.folder import KEPT
from harness.core.methods import method_info
from harness.core.values import clean
from reports.blocks import (
    Block,
    Entry,
    Link,
    Listing,
    Table,
    Text,
    exact_memory,
    score_text,
    section,
)
from reports.frame import Run
from reports.page import Report

_FORMS = {
    "adapter": "adapter",
    "encoder": "adapter of the encoder, classifier",
    "head": "classifier",
    "full": "all weights",
}
_HEAD = ("Task", "Arm", "Length", "Seed", "Metric", "Score", "Validation loss", "Kept", "Size",
         "Folder")  # fmt: skip
_NUMERIC = frozenset({"Length", "Seed", "Score", "Validation loss", "Size"})
_MANY, _SHOWN = 20, 200


@section(order=85, anchor="kept", title="Kept models")
def kept_models(report: Report) -> list[Block]:
    """A table of each run's kept models, and the lines of Python that load one of each form."""
    blocks: list[Block] = []
    for run in report.runs:
        models, broken = read_kept(run.path)
        models = sorted(models, key=_order)
        if models:
            caption = f"Models that {run.name} has kept: {len(models)}"
            if len(models) > _SHOWN:
                caption += f" (the first {_SHOWN} of them)"
            rows = [_row(model, run, report.out) for model in models[:_SHOWN]]
            blocks.append(Table(caption, _HEAD, rows, _NUMERIC, folded=len(rows) > _MANY))
            blocks += _listings(models, run)
        if broken:
            names = "; ".join(f"{name} ({reason})" for name, reason in broken)
            blocks.append(Text(f"{run.name}: kept models that cannot be used: {names}.", "warning"))
    note = (
        "Weights of the lowest validation loss of each arm, task and length, unless the sweep says "
        "otherwise (keep). The README.md in a folder is the model card."
    )
    return [Text(note, "note"), *blocks] if blocks else []


def _order(model: KeptModel) -> tuple[object, ...]:
    cell = model.cell
    density = 1.0 if cell.density is None else cell.density
    order = method_info(cell.method).order
    return (cell.task or "", order, cell.method, -density, cell.arm, cell.length, cell.seed)


def _row(model: KeptModel, run: Run, out: Path) -> list[Entry]:
    cell, place = model.cell, f"{KEPT}/{model.id}"
    card = Path(os.path.relpath(run.path.resolve() / place / "README.md", out.resolve()))
    return [
        clean(cell.task), clean(cell.arm), str(cell.length), str(cell.seed), model.metric,
        score_text(model.score), score_text(model.validation_loss), _FORMS[model.form],
        "" if model.bytes is None else exact_memory(model.bytes),
        Link(place, quote(card.as_posix())),
    ]  # fmt: skip


def _listings(models: list[KeptModel], run: Run) -> list[Block]:
    """The lines that load a model: for the first one of each form, as a reader would write them."""
    first: dict[bool, KeptModel] = {}
    for model in models:
        first.setdefault(model.form == "adapter", model)
    found: list[Block] = []
    for is_adapter, model in sorted(first.items(), reverse=True):
        what = "an adapter" if is_adapter else "another kept model"
        which = f"{clean(model.cell.arm)} at {model.cell.length} tokens"
        caption = f"Load {what} ({which}); for another one, change the folder"
        lines = model.lines((_shown(run.path) / KEPT / model.id).as_posix())
        found.append(Listing(caption, "\n".join(lines)))
    return found


def _shown(folder: Path) -> Path:
    """A run folder as its user names it: relative to the current folder, if it is inside."""
    here = Path.cwd()
    whole = folder.resolve()
    return whole.relative_to(here) if whole.is_relative_to(here) else folder
