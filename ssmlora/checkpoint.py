"""Checks a checkpoint: safetensors only, and exactly the tensors that the adapter has."""

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
"""Number of problems that one message names."""

_WRAPPED = "base_model.model."
"""Prefix of tensor names in a PeftModel; absent if PEFT injected the adapter into a plain model."""


def refuse_pickle(model_id: Any, subfolder: str | None = None, **hub: Any) -> None:
    """Refuse an adapter that has only pickled weights, in a folder or on the hub.

    Args:
        model_id: a folder or the name of a repository.
        subfolder: subfolder of `model_id`.
        hub: further arguments of `huggingface_hub.hf_hub_download`.

    Raises:
        ValueError: the only weights are a pickle.
    """
    folder = Path(model_id, subfolder or "")
    if folder.is_dir():
        found = [name for name in (SAFETENSORS, PICKLE) if (folder / name).exists()]
    else:
        # If the safetensors exist, the pickle is not downloaded.
        found = [SAFETENSORS] if _on_hub(model_id, SAFETENSORS, subfolder, hub) else []
        if not found and _on_hub(model_id, PICKLE, subfolder, hub):
            found = [PICKLE]
    if found == [PICKLE]:
        raise ValueError(
            f"{folder / PICKLE}: only safetensors are read, and this is a pickle: "
            f"ask its author for {SAFETENSORS}"
        )


def _on_hub(model_id: Any, name: str, subfolder: str | None, hub: dict[str, Any]) -> bool:
    from huggingface_hub import hf_hub_download  # a dependency of PEFT

    try:
        hf_hub_download(str(model_id), name, subfolder=subfolder, **hub)
    except Exception:  # no file, repository or network: PEFT reports which
        return False
    return True


def check_fit(
    model: nn.Module,
    adapter_name: str,
    tensors: Mapping[str, torch.Tensor],
    biases: Iterable[str],
    prefix: str = "ssmlora_",
) -> None:
    """Refuse a checkpoint whose tensors differ from those of the adapter.

    Args:
        model: the model, with the adapter in it.
        adapter_name: name of the adapter that is loaded.
        tensors: the checkpoint, with the tensor names of `model`.
        biases: names of the base model's biases that the adapter trains.
        prefix: beginning of the names of the method's parameters.

    Raises:
        ValueError: tensors are missing, unknown or have another shape; names them.
    """
    if not any(name.startswith(_WRAPPED) for name, _ in model.named_parameters()):
        tensors = {name.removeprefix(_WRAPPED): tensor for name, tensor in tensors.items()}
    inside = model.state_dict()
    wanted = {
        name: inside[name].shape for name in (*_of_adapter(model, adapter_name, prefix), *biases)
    }
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
    """Refuse nested modules in `modules_to_save`: PEFT writes them but cannot read them.

    Raises:
        ValueError: two modules are nested; names them.
    """
    endings = tuple(modules_to_save or ())
    found = [name for name, _ in model.named_modules() if endings and name.endswith(endings)]
    for outer in found:
        inner = next((name for name in found if name.startswith(f"{outer}.")), None)
        if inner is not None:
            raise ValueError(
                f"modules_to_save: {inner} lies within {outer}, which is already trained in full, "
                f"and PEFT cannot load both: name only one of them"
            )


def wrapped_modules(model: nn.Module) -> Iterator[str]:
    """Yield the prefixes of modules that PEFT trains in full."""
    for name, module in model.named_modules():
        if isinstance(module, AuxiliaryTrainingWrapper):
            yield f"{name}."


def without_repeated_biases(
    model: nn.Module, tensors: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Leave out the second copy of the heads' biases that early versions wrote for `bias="all"`.

    Args:
        model: the model, with the adapter in it.
        tensors: the checkpoint, with the tensor names of `model`.
    """
    inside = model.state_dict()
    parts = ("modules_to_save.", "original_module.")
    repeated = tuple(f"{at}{part}" for at in wrapped_modules(model) for part in parts)
    return {
        name: tensor
        for name, tensor in tensors.items()
        if name in inside or not (name.endswith(".bias") and name.startswith(repeated))
    }


def _of_adapter(model: nn.Module, adapter_name: str, prefix: str) -> Iterator[str]:
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            for kind in module.adapter_layer_names:
                if kind.startswith(prefix) and adapter_name in getattr(module, kind):
                    yield f"{name}.{kind}.{adapter_name}"


def _trained_in_full(model: nn.Module) -> Iterator[str]:
    """Yield prefixes of other saved tensors: `modules_to_save` and resized embeddings."""
    embeddings: list[Any] = []
    for side in ("input", "output"):
        with suppress(AttributeError, NotImplementedError):
            embeddings.append(getattr(model, f"get_{side}_embeddings")())
    for name, module in model.named_modules():
        if isinstance(module, AuxiliaryTrainingWrapper) or any(module is e for e in embeddings):
            yield f"{name}."
