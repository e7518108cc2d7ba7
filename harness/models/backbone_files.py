"""Finds the weight files of a folder, and refuses files that would silently change the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_ADAPTER = "adapter_config.json"


def model_files(folder: Path, where: str) -> list[Path]:
    """Return the weight files that transformers reads from a folder in the hub's format.

    Raises:
        BadInput: the folder has no model, has files that would silently change the model, or has
            two sets of weights.
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
            f"{where}: the folder {folder} has no {_WEIGHTS} and no {_INDEX}; other names and "
            f"other formats of weights are not supported"
        )
    shards = _shards(index, where)
    if whole.is_file() and shards != [whole]:
        raise BadInput(
            f"{where}: {folder} has both {_WEIGHTS} and the parts of {_INDEX}: move one of the two "
            f"sets of weights away"
        )
    return shards


def _refuse_adapter(folder: Path, where: str) -> None:
    path = folder / _ADAPTER
    if path.is_file():
        raise BadInput(
            f"{where}: {path}: the folder has an adapter, which would be loaded into every arm: "
            f"merge it into the weights (PEFT's merge_and_unload), or move {_ADAPTER} and "
            f"adapter_model.safetensors away"
        )


def _check_config(folder: Path, where: str) -> None:
    config = read_json(folder / "config.json", where)
    refused = {
        "quantization_config": "arms are compared on float32 weights: save the model dequantised",
        "transformers_weights": f"it names other weights: rename that file to {_WEIGHTS}",
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
                f"{where}: {index}: weight_map: '{name}' is not a file of this folder: put all "
                f"parts into the folder of the index"
            )
        if not (index.parent / name).is_file():
            raise BadInput(f"{where}: {index}: weight_map: {name} is missing: download it again")
        shards.append(index.parent / name)
    return shards


def read_json(path: Path, where: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        BadInput: the file is not a JSON object.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise BadInput(f"{where}: {path} is not a valid JSON file of keys and values")
    return said
