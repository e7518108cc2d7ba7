"""Loads models that a run has kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.core.card import KeptModel, read_kept_model
from harness.core.levers import Levers
from harness.kept.save import HEAD_FILE
from harness.models.backbones import Backbone, find_backbone
from harness.models.load import load_classifier, load_language_model
from harness.models.quiet import quiet
from harness.models.tokens import load_tokenizer
from tasks.types import task_type


def base_model(folder: str | Path, device: str = "cpu") -> Any:
    """Return the model that the adapter in a folder was trained on, without the adapter.

    It is a language model of transformers, or a `harness.models.heads.Classifier` with a new
    classifier. `PeftModel.from_pretrained` adds the adapter, and the trained classifier with it.

    Raises:
        ValueError: the folder has no kept model, or the weights of the backbone have changed.
        BadInput: the backbone is not on this machine.
    """
    from harness.training.peft_methods import register_methods

    register_methods()
    folder = Path(folder)
    kept = read_kept_model(folder)
    return _base(kept, _backbone(kept, folder), device)


def trained_model(folder: str | Path, device: str = "cpu") -> Any:
    """Return the trained model of a folder in evaluation mode, as it was tested.

    Raises:
        ValueError: as `base_model`.
        BadInput: as `base_model`.
    """
    folder = Path(folder)
    kept = read_kept_model(folder)
    model = _base(kept, _backbone(kept, folder), device)
    if kept.form == "adapter":
        model = _with_adapter(model, folder)
    elif kept.form == "encoder":
        model.encoder = _with_adapter(model.encoder, folder)
    if kept.form != "adapter" and not kept.cell.uses_lm_head:
        from safetensors.torch import load_file

        model.classifier.load_state_dict(load_file(folder / HEAD_FILE))
    return model.to(device).eval()


def _backbone(kept: KeptModel, folder: Path) -> Backbone:
    """The backbone of a kept model; of a full model, its own weights.

    Raises:
        ValueError: the backbone has other weights than in training.
    """
    name = kept.cell.backbone
    if kept.form == "full":
        return Backbone(name, folder, "")
    backbone = find_backbone(name, f"{folder}: backbone")
    if backbone.pin != kept.cell.revisions.get("backbone", backbone.pin):
        raise ValueError(
            f"{folder}: the weights of the backbone '{name}' have changed since it was trained: "
            f"restore those of {kept.cell.revisions['backbone']}"
        )
    return backbone


def _base(kept: KeptModel, backbone: Backbone, device: str) -> Any:
    import torch

    cell = kept.cell
    weights = cell.levers.weights
    levers = Levers(weights=weights)  # attention kernels may not exist on this machine
    pad = load_tokenizer(backbone).pad_token_id
    model: Any
    with quiet():  # weights of the hub that the model does not need are no news
        if cell.uses_lm_head:
            model = load_language_model(
                backbone, cell.positions, cell.dropout, pad, levers=levers, device=device
            )
        else:
            model = load_classifier(
                backbone, kept.outputs or 2, cell.positions, cell.dropout, pad,
                task_type(kept.family), levers=levers, device=device,
            )  # fmt: skip
    if weights == "bfloat16":
        (model if cell.uses_lm_head else model.encoder).to(torch.bfloat16)
    return model


def _with_adapter(model: Any, folder: Path) -> Any:
    """Return a model with the adapter of a folder, wrapped as in training."""
    from peft import PeftConfig, PeftModel

    from harness.training.peft_methods import register_methods
    from harness.training.peft_wrap import wrap_prompt

    register_methods()
    config = PeftConfig.from_pretrained(folder)
    if not config.is_prompt_learning:
        return PeftModel.from_pretrained(model, folder)
    wrapped = wrap_prompt(model, config)
    wrapped.load_adapter(folder, "default")
    return wrapped
