"""Saves a trained model in the run folder, with a card that says what it is."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any, Literal

from harness.core.card import KEPT_FILE, KeptModel
from harness.core.cell import Cell
from harness.core.errors import log_traceback, one_line
from harness.core.folder import write_atomically
from harness.core.methods import HEAD
from harness.core.result import CellResult
from harness.kept.card import model_card
from harness.kept.rules import Keeping, remove_model, staging
from harness.models.backbones import Backbone
from tasks import TaskMetadata

HEAD_FILE = "head.safetensors"
"""Weights of a classifier that no adapter holds."""

Form = Literal["adapter", "encoder", "head", "full"]


class Kept:
    """The model of a cell on its way into the run folder.

    Weights are saved when they are trained, before further evaluations. The folder gets its name
    when the cell is done. A model that cannot be saved fails no cell: its log has the reason.
    """

    def __init__(self, cell: Cell, keeping: Keeping | None) -> None:
        self._cell = cell
        self._keeping = keeping if keeping and keeping.keeps(cell) else None
        self._form: Form | None = None
        self._backbone: Backbone | None = None
        self._metadata: TaskMetadata | None = None

    def save(self, model: Any, backbone: Backbone, metadata: TaskMetadata, tokenizer: Any) -> None:
        """Save the weights of a trained model."""
        if self._keeping is None:
            return
        part = self._part
        try:
            # Without parents: a node of a cluster may not have the run folder.
            part.parent.mkdir(exist_ok=True)
            part.mkdir()
            self._form = _form(model, self._cell)
            _save_weights(model, self._form, self._cell, tokenizer, part)
            self._backbone, self._metadata = backbone, metadata
        except Exception as error:  # PEFT methods may raise anything
            self._fail(error)

    def finish(self, result: CellResult) -> None:
        """Complete the folder of a cell that ended well; remove that of any other."""
        if self._keeping is None or self._form is None:
            return
        if not result.ok:
            shutil.rmtree(self._part, ignore_errors=True)
            return
        place = self._keeping.model(self._cell.id)
        try:
            self._describe(result)
            _finish_files(self._part)
            if place.exists():  # of an earlier attempt
                remove_model(place)
            self._part.rename(place)
        except Exception as error:
            self._fail(error)

    @property
    def _part(self) -> Path:
        assert self._keeping is not None
        return staging(self._keeping.model(self._cell.id))

    def _describe(self, result: CellResult) -> None:
        assert self._keeping is not None
        assert self._keeping.rule != "none"
        assert self._form is not None
        assert self._backbone is not None
        assert self._metadata is not None
        scores, kind = result.scores, self._metadata.task_type
        model = KeptModel(
            id=self._cell.id,
            form=self._form,
            rule=self._keeping.rule,
            cell=self._cell,
            family=self._metadata.family,
            outputs=None if kind.uses_lm_head else kind.head_size(self._metadata),
            metric=scores.metric or "" if scores else "",
            score=scores.score if scores else None,
            score_low=scores.score_low if scores else None,
            score_high=scores.score_high if scores else None,
            validation_loss=scores.validation_loss if scores else None,
            bytes=sum(path.stat().st_size for path in self._part.iterdir()),
        )
        card = model_card(model, result, self._backbone, self._metadata)
        write_atomically(self._part / "README.md", card)
        write_atomically(self._part / KEPT_FILE, model.model_dump_json(indent=1))

    def _fail(self, error: Exception) -> None:
        log_traceback()
        print(f"the model is not kept: {one_line(error)}", file=sys.stderr, flush=True)
        shutil.rmtree(self._part, ignore_errors=True)
        self._form = None


def _form(model: Any, cell: Cell) -> Form:
    if hasattr(model, "peft_config"):
        return "adapter"
    if hasattr(getattr(model, "encoder", None), "peft_config"):
        return "encoder"
    return "head" if cell.method == HEAD else "full"


def _save_weights(model: Any, form: Form, cell: Cell, tokenizer: Any, folder: Path) -> None:
    inner = model if form == "adapter" or cell.uses_lm_head else model.encoder
    if form in ("adapter", "encoder"):
        for config in inner.peft_config.values():
            config.base_model_name_or_path = cell.backbone  # not the folder on this machine
        inner.save_pretrained(folder, save_embedding_layers=False)
    elif form == "full":
        inner.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    if form != "adapter" and not cell.uses_lm_head:
        from safetensors.torch import save_file

        save_file(model.classifier.state_dict(), folder / HEAD_FILE)


def _finish_files(folder: Path) -> None:
    """Give all files the permissions of a new file, and write them to the disk."""
    mode = stat.S_IMODE((folder / KEPT_FILE).stat().st_mode)
    for path in folder.iterdir():
        path.chmod(mode)  # safetensors lets nobody else read its files
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
