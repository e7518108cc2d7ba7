"""Checks of a sweep that need torch, transformers and PEFT, before the first cell starts.

Importing them takes seconds, so only backbones that are not embedded are checked, and methods other
than LoRA and SSMLoRA with the settings that the sweep itself checks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from harness.core.cell import Cell
from harness.core.errors import BadInput, one_line
from harness.core.methods import ATTENTION, FULL, HEAD, LORA, SSMLORA, TFIDF, ZERO_SHOT
from harness.models.architectures import read_config
from harness.models.backbone_files import model_files
from harness.models.backbones import EMBEDDED, RANDOM, Backbone, require_causal_lm
from harness.models.load import load_classifier, load_language_model, load_skeleton
from harness.models.quiet import quiet
from harness.models.tokens import check_ids, load_tokenizer
from harness.planning.arms import foreign_arms
from tasks.lib.encoding import end_of_text

_Made = TypeVar("_Made")

_REHEARSED = 13
"""Tokens of the text in a trial forward pass: not a multiple of any block or window."""

_SMALL = 2 * 2**30
"""Bytes of weights up to which a backbone is loaded here, to find missing weights."""


def check_models(cells: list[Cell], backbone: Backbone, source: Path) -> None:
    """Open the backbone's files and build every arm without weights.

    Raises:
        BadInput: an error that would have made a cell fail, in one line.
    """
    if any(cell.uses_lm_head for cell in cells):
        require_causal_lm(backbone, f"{source}: backbone")
    foreign = backbone.name not in EMBEDDED
    arms = [
        cell
        for cell in _arms(cells)
        if foreign
        or cell.options
        or cell.target not in (None, ATTENTION)
        or cell.method not in (FULL, HEAD, LORA, SSMLORA)
    ]
    if not foreign and not arms:
        return
    with quiet():
        if foreign:
            _check_folder(backbone, cells, f"{source}: backbone: {backbone.folder}")
        for cell in arms:
            where = f"{source}: methods.{cell.method}: cannot be built on {backbone.name}"
            if cell.virtual_tokens:
                where += f" with {cell.virtual_tokens} virtual and {cell.length} other tokens"
            _or_refuse(where, partial(_build, cell, backbone))
        small = _is_small(backbone, f"{source}: backbone")
        for cell in foreign_arms(arms) if small else []:
            where = f"{source}: methods.{cell.method}: cannot be trained on {backbone.name}"
            _or_refuse(where, partial(_train_steps, cell, backbone))


def _check_folder(backbone: Backbone, cells: list[Cell], where: str) -> None:
    _or_refuse(where, partial(read_config, backbone, 0.0, 0))
    tokenizer = None
    if any(cell.kind == "train" for cell in cells):
        tokenizer = _or_refuse(f"{where}: tokenizer", partial(load_tokenizer, backbone))
        if any(cell.uses_lm_head for cell in cells):
            _or_refuse(f"{where}: tokenizer", partial(end_of_text, tokenizer))
    small = _is_small(backbone, where)
    for path in [] if backbone.stored_as == RANDOM else model_files(backbone.folder, where):
        _or_refuse(f"{where}: {path.name}", partial(_check_weights, path))
    for writes in sorted({cell.uses_lm_head for cell in cells}):
        longest = max(c.length + c.decode for c in cells if c.uses_lm_head == writes)
        load = _load if small else load_skeleton
        model = _or_refuse(where, partial(load, backbone, longest, writes))
        if tokenizer is not None:
            _or_refuse(f"{where}: tokenizer", partial(check_ids, tokenizer, _encoder(model)))
        if small:
            _or_refuse(where, partial(_rehearse, model, writes, cells[0].dtype))
            for cell in [c for c in cells if c.decode and writes][:1]:
                _or_refuse(f"{where}: probe.decode", partial(_decode, model, cell))


def _decode(model: Any, cell: Cell) -> None:
    """Decode a token after a short prompt."""
    import torch

    from harness.training.decoding import Use

    Use(model, cell.model_copy(update={"decode": 1}), torch.ones(1, 2, dtype=torch.long)).prepare()


def _check_weights(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  # it is not a mapping
            kind = file.get_slice(name).get_dtype()
            if name.endswith("weight") and kind not in ("F64", "F32", "F16", "BF16"):
                raise ValueError(
                    f"{name} is stored as {kind}, and only float weights are supported: save the "
                    f"model dequantised"
                )


def _is_small(backbone: Backbone, where: str) -> bool:
    """Whether a backbone has weights that can be loaded here."""
    if backbone.stored_as == RANDOM:
        return False
    return sum(path.stat().st_size for path in model_files(backbone.folder, where)) < _SMALL


def _load(backbone: Backbone, length: int, writes: bool) -> Any:
    if writes:
        return load_language_model(backbone, length, 0.0, 0)
    return load_classifier(backbone, 2, length, 0.0, 0)


def _encoder(model: Any) -> Any:
    return getattr(model, "encoder", model)


def _rehearse(model: Any, writes: bool, dtype: str) -> None:
    """Run a forward pass in training mode on two short texts, one of them padded.

    Raises:
        ValueError: the architecture does not accept every number of tokens, or not this `dtype`.
    """
    reason = _fails(model, writes, dtype)
    if not reason:
        return
    kind = type(_encoder(model)).__name__
    if dtype != "float32" and not _fails(model, writes, "float32"):
        raise ValueError(f"{kind} cannot be trained in {dtype} ({reason}): set dtype: float32")
    raise ValueError(
        f"{kind} cannot be trained on texts of {_REHEARSED} tokens ({reason}): use another backbone"
    )


def _fails(model: Any, writes: bool, dtype: str) -> str:
    import torch

    from harness.training.batches import random_batch

    inputs = random_batch(int(model.config.vocab_size), 2, _REHEARSED, 0, writes)
    inputs["input_ids"][1, -3:] = model.config.pad_token_id
    inputs["attention_mask"][1, -3:] = 0
    if writes:
        del inputs["attention_mask"]
    model.train()
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            model(**inputs)
    except MemoryError:
        raise
    except Exception as error:  # the code of a model may raise anything
        return f"{type(error).__name__}: {one_line(error)}"
    return ""


def _train_steps(cell: Cell, backbone: Backbone) -> None:
    """Take a training step with the arm."""
    from harness.training.rehearsal import rehearse

    rehearse(_load(backbone, cell.positions, cell.uses_lm_head), cell)


def _arms(cells: list[Cell]) -> list[Cell]:
    """Return one cell of each arm and schedule, with the most positions."""
    arm = (
        "method", "density", "placement", "rank", "alpha", "target", "options", "uses_lm_head",
    )  # fmt: skip
    fields = (*arm, "kind", "examples", "epochs")
    longest_last = sorted(cells, key=lambda cell: cell.positions)
    arms = {json.dumps([getattr(c, f) for f in fields], sort_keys=True): c for c in longest_last}
    return [cell for cell in arms.values() if cell.method not in (TFIDF, ZERO_SHOT)]


def _build(cell: Cell, backbone: Backbone) -> None:
    from harness.training.methods import adapt

    try:
        skeleton = load_skeleton(backbone, cell.positions, cell.uses_lm_head)
        adapt(skeleton, cell)
    except RuntimeError:  # some adapters are initialised from the weights
        if backbone.stored_as == RANDOM:
            raise
        adapt(_load(backbone, cell.positions, cell.uses_lm_head), cell)


def _or_refuse(where: str, make: Callable[[], _Made]) -> _Made:
    try:
        return make()
    except Exception as error:  # these libraries raise many kinds
        raise BadInput(f"{where}: {one_line(error)}") from None
