"""What only torch, transformers and PEFT can tell of a sweep, asked before its first cell starts.

Importing them takes seconds, so they are asked only where there is something to ask: about a
backbone that is not embedded here, and about methods that are more than LoRA or SSMLoRA with the
settings that the sweep itself checks.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from harness.backbones import EMBEDDED, Backbone, check_writes
from harness.cells import BASE, BASELINE, Cell
from harness.errors import BadInput, told
from harness.methods import foreign_arms
from harness.models import load_classifier, load_language_model, load_skeleton
from harness.rows import end_of_text
from harness.tokens import load_tokenizer

_Made = TypeVar("_Made")

_SMALL = 2 * 2**30
"""Bytes of weights up to which a backbone is loaded here, to see that nothing is missing."""


def check_models(cells: list[Cell], backbone: Backbone, source: Path) -> None:
    """Open the backbone's files and build every arm without weights.

    Raises:
        BadInput: what a cell would have failed with, in one line.
    """
    if any(cell.writes for cell in cells):
        check_writes(backbone, f"{source}: backbone")
    foreign = backbone.name not in EMBEDDED
    arms = [
        cell
        for cell in _arms(cells)
        if foreign or cell.options or cell.method not in ("full", "lora", "ssmlora")
    ]
    if not foreign and not arms:
        return
    with _silence():
        if foreign:
            _check_folder(backbone, cells, f"{source}: backbone: {backbone.folder}")
        for cell in arms:
            where = f"{source}: methods.{cell.method}: cannot be built on {backbone.name}"
            _or_refuse(where, partial(_build, cell, backbone))
        for cell in foreign_arms(arms) if _bytes(backbone) < _SMALL else []:
            where = f"{source}: methods.{cell.method}: cannot be trained on {backbone.name}"
            _or_refuse(where, partial(_rehearse, cell, backbone))


def _check_folder(backbone: Backbone, cells: list[Cell], where: str) -> None:
    from safetensors import safe_open

    if any(cell.kind == "train" for cell in cells):
        tokenizer = _or_refuse(f"{where}: tokenizer", partial(load_tokenizer, backbone))
        if any(cell.writes for cell in cells):
            _or_refuse(f"{where}: tokenizer", partial(end_of_text, tokenizer))
    weights = [path for path in backbone.folder.glob("*.safetensors") if path.is_file()]
    for path in weights:
        _or_refuse(f"{where}: {path.name}", partial(safe_open, path, framework="pt"))
    for writes in sorted({cell.writes for cell in cells}):
        longest = max(cell.length for cell in cells if cell.writes == writes)
        small = _bytes(backbone) < _SMALL
        _or_refuse(where, partial(_load if small else load_skeleton, backbone, longest, writes))


def _bytes(backbone: Backbone) -> int:
    """Size of a backbone's weights."""
    weights = [path for path in backbone.folder.glob("*.safetensors") if path.is_file()]
    return sum(path.stat().st_size for path in weights)


def _load(backbone: Backbone, length: int, writes: bool) -> Any:
    if writes:
        return load_language_model(backbone, length, 0.0, None)
    return load_classifier(backbone, 2, length, 0.0, None)


def _rehearse(cell: Cell, backbone: Backbone) -> None:
    from harness.rehearsal import rehearse

    rehearse(_load(backbone, cell.length, cell.writes), cell)


def _arms(cells: list[Cell]) -> list[Cell]:
    """One cell of each arm and schedule."""
    arm = ("method", "density", "placement", "rank", "alpha", "options", "writes")
    fields = (*arm, "kind", "examples", "epochs")
    arms = {json.dumps([getattr(c, f) for f in fields], sort_keys=True): c for c in cells}
    return [cell for cell in arms.values() if cell.method not in (BASELINE, BASE)]


def _build(cell: Cell, backbone: Backbone) -> None:
    from harness.methods import adapt

    try:
        adapt(load_skeleton(backbone, cell.length, cell.writes), cell)
    except RuntimeError:  # some ways to start an adapter look at the weights
        adapt(_load(backbone, cell.length, cell.writes), cell)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the libraries' bars and warnings from the terminal: what matters is raised."""
    from transformers.utils import logging

    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _or_refuse(where: str, make: Callable[[], _Made]) -> _Made:
    try:
        return make()
    except Exception as error:  # whatever these libraries raise
        raise BadInput(f"{where}: {told(error)}") from None
