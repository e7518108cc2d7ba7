"""Weight files of a backbone, and files that would change the loaded model without a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_ADAPTER = "adapter_config.json"


def model_files(folder: Path, where: str) -> list[Path]:
    """Return the weight files that transformers reads from a folder in hub format.

    Args:
        folder: the folder of the backbone.
        where: file and key, for messages.

    Raises:
        BadInput: the folder has no model, has files that would change the model without a message,
            or has two sets of weights.
    """
    _refuse_adapter(folder, where)
    if not (folder / "config.json").is_file():
        raise BadInput(
            f"{where}: the folder {folder} has no config.json: not a model in hub format"
        )
    _check_config(folder, where)
    whole, index = folder / _WEIGHTS, folder / _INDEX
    if not index.is_file():
        if whole.is_file():
            return [whole]
        raise BadInput(
            f"{where}: the folder {folder} has no {_WEIGHTS} and no {_INDEX}: other file names and "
            f"formats are not supported"
        )
    shards = _shards(index, where)
    if whole.is_file() and shards != [whole]:
        raise BadInput(
            f"{where}: {folder} holds both {_WEIGHTS} and the parts of {_INDEX}: remove one of the "
            f"two sets of weights"
        )
    return shards


def _refuse_adapter(folder: Path, where: str) -> None:
    path = folder / _ADAPTER
    if path.is_file():
        raise BadInput(
            f"{where}: {path}: the folder holds an adapter, which would be loaded into every arm: "
            f"merge it into the weights (PEFT's merge_and_unload), or remove {_ADAPTER} and "
            f"adapter_model.safetensors"
        )


def _check_config(folder: Path, where: str) -> None:
    config = read_json(folder / "config.json", where)
    refused = {
        "quantization_config": "arms are compared on float32 weights: save the model dequantised",
        "transformers_weights": f"other weight files are not supported: rename it to {_WEIGHTS}",
    }
    for key, remedy in refused.items():
        if config.get(key) is not None:
            raise BadInput(f"{where}: {folder}/config.json: {key}: {remedy}, and remove the key")


def _shards(index: Path, where: str) -> list[Path]:
    parts = read_json(index, where).get("weight_map")
    if (
        not isinstance(parts, dict)
        or not parts
        or not all(isinstance(n, str) for n in parts.values())
    ):
        raise BadInput(f"{where}: {index}: weight_map: expected file names")
    shards = []
    for name in sorted(set(parts.values())):
        if Path(name).name != name:
            raise BadInput(
                f"{where}: {index}: weight_map: '{name}' is not in this folder: put all parts "
                f"next to the index"
            )
        if not (index.parent / name).is_file():
            raise BadInput(f"{where}: {index}: weight_map: {name} is missing: download it again")
        shards.append(index.parent / name)
    return shards


def read_json(path: Path, where: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Args:
        path: the file.
        where: file and key, for messages.

    Raises:
        BadInput: the file cannot be read or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadInput(f"{where}: {path} is not valid: expected a JSON object")
    return value
