"""What a checkpoint must be: safetensors, with every tensor known, present and of its shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper
from torch import nn

SAFETENSORS, PICKLE = "adapter_model.safetensors", "adapter_model.bin"
SHOWN = 8
"""Problems named in one message; the rest are counted."""

_WRAPPED = "base_model.model."
"""Where a PeftModel holds the model; absent where PEFT injected the adapter into a plain one."""


def refuse_pickle(model_id: Any, subfolder: str | None = None, **hub: Any) -> None:
    """Refuse an adapter whose weights are there as a pickle only, in a folder or on the hub.

    Args:
        model_id: a folder or the name of a repository.
        subfolder: of that folder or repository.
        hub: further arguments of `huggingface_hub.hf_hub_download`.

    Raises:
        ValueError: it is so.
    """
    folder = Path(model_id, subfolder or "")
    if folder.is_dir():
        found = [name for name in (SAFETENSORS, PICKLE) if (folder / name).exists()]
    else:
        # One after the other: where the first is there, the second is not fetched.
        found = [SAFETENSORS] if _on_hub(model_id, SAFETENSORS, subfolder, hub) else []
        if not found and _on_hub(model_id, PICKLE, subfolder, hub):
            found = [PICKLE]
    if found == [PICKLE]:
        raise ValueError(
            f"{folder / PICKLE}: only safetensors are read, and this is a pickle; "
            f"ask whoever made it for {SAFETENSORS}"
        )


def _on_hub(model_id: Any, name: str, subfolder: str | None, hub: dict[str, Any]) -> bool:
    from huggingface_hub import hf_hub_download  # comes with PEFT, which loads adapters with it

    try:
        hf_hub_download(str(model_id), name, subfolder=subfolder, **hub)
    except Exception:  # not there, no such repository, no network: PEFT will say which
        return False
    return True


def check_fit(
    model: nn.Module, adapter_name: str, tensors: Mapping[str, torch.Tensor], biases: Any
) -> None:
    """Refuse a checkpoint that does not fit the adapter, by the names of its tensors.

    Args:
        model: holds the adapter already.
        adapter_name: of the adapter that is loaded.
        tensors: the checkpoint, under the names that its tensors have in `model`.
        biases: names of the base model's biases that the adapter trains.

    Raises:
        ValueError: tensors that are missing, not known or of another shape.
    """
    if not any(name.startswith(_WRAPPED) for name, _ in model.named_parameters()):
        tensors = {name.removeprefix(_WRAPPED): tensor for name, tensor in tensors.items()}
    inside = model.state_dict()
    wanted = {name: inside[name].shape for name in (*_of_adapter(model, adapter_name), *biases)}
    trained_in_full = tuple(_trained_in_full(model))
    problems = [f"missing: {name}" for name in wanted if name not in tensors]
    problems += [
        f"not known: {name}"
        for name in tensors
        if name not in wanted and not (name in inside and name.startswith(trained_in_full))
    ]
    problems += [
        f"wrong shape: {name} is {tuple(tensor.shape)}, not {tuple(wanted[name])}"
        for name, tensor in tensors.items()
        if name in wanted and tensor.shape != wanted[name]
    ]
    if problems:
        more = f" and {len(problems) - SHOWN} more" * (len(problems) > SHOWN)
        raise ValueError(
            "the checkpoint does not fit the adapter: " + "; ".join(problems[:SHOWN]) + more
        )


def refuse_nested(model: nn.Module, modules_to_save: Iterable[str] | None) -> None:
    """Refuse modules to save that lie within each other: PEFT writes them and cannot read them.

    Raises:
        ValueError: two such modules, by name.
    """
    endings = tuple(modules_to_save or ())
    found = [name for name, _ in model.named_modules() if endings and name.endswith(endings)]
    for outer in found:
        inner = next((name for name in found if name.startswith(f"{outer}.")), None)
        if inner is not None:
            raise ValueError(
                f"modules_to_save: {inner} lies within {outer}, which is trained in full already, "
                f"and PEFT could not load both again: narrow modules_to_save to one of them"
            )


def wrapped_modules(model: nn.Module) -> Iterator[str]:
    """Prefixes of the modules that PEFT trains in full: their copies are named like adapters."""
    for name, module in model.named_modules():
        if isinstance(module, AuxiliaryTrainingWrapper):
            yield f"{name}."


def without_repeated_biases(
    model: nn.Module, tensors: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Leave out what earlier versions wrote with `bias="all"`: heads' biases, a second time.

    Args:
        model: holds the adapter already.
        tensors: the checkpoint, under the names that its tensors have in `model`.
    """
    inside = model.state_dict()
    parts = ("modules_to_save.", "original_module.")
    repeated = tuple(f"{at}{part}" for at in wrapped_modules(model) for part in parts)
    return {
        name: tensor
        for name, tensor in tensors.items()
        if name in inside or not (name.endswith(".bias") and name.startswith(repeated))
    }


def _of_adapter(model: nn.Module, adapter_name: str) -> Iterator[str]:
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            for kind in module.adapter_layer_names:
                if kind.startswith("ssmlora_") and adapter_name in getattr(module, kind):
                    yield f"{name}.{kind}.{adapter_name}"


def _trained_in_full(model: nn.Module) -> Iterator[str]:
    """Prefixes of what else PEFT writes: `modules_to_save`, and embeddings that were resized."""
    embeddings: list[Any] = []
    for side in ("input", "output"):
        with suppress(AttributeError, NotImplementedError):
            embeddings.append(getattr(model, f"get_{side}_embeddings")())
    for name, module in model.named_modules():
        if isinstance(module, AuxiliaryTrainingWrapper) or any(module is e for e in embeddings):
            yield f"{name}."
