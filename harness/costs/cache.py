"""A cache of predictions on disk. Its keys change with the code and with the libraries."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.core.folder import write_atomically
from harness.training.peft_methods import GROUP
from tasks import TaskError
from tasks.lib.cache import cache_folder

_ROOT = Path(__file__).parents[2]
_CODE = ("harness/costs", "harness/models", "harness/training", "ssmlora", "hrm")
"""The packages that decide what a step costs."""

Model = TypeVar("Model", bound=BaseModel)


@cache
def versions() -> dict[str, str]:
    """Return the versions that decide a prediction; `code` is a checksum of this project."""
    files = sorted(path for package in _CODE for path in (_ROOT / package).glob("*.py"))
    code = sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    others = {entry.dist.name for entry in entry_points(group=GROUP) if entry.dist}
    names = ("torch", "transformers", "peft", *sorted(others))
    return {name: version(name) for name in names} | {"code": code}


def key_of(*facts: Any) -> str:
    """Return the key of these facts with the current versions."""
    text = json.dumps([versions(), facts], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:24]


def read(kind: str, key: str, model: type[Model]) -> Model | None:
    """Return what is kept under a key; None if nothing is, or it cannot be read."""
    try:
        return model.model_validate_json(_file(kind, key).read_bytes())
    except (OSError, ValidationError, TaskError):
        return None


def keep(kind: str, key: str, value: BaseModel) -> None:
    """Keep a value; without a writable cache it is computed again the next time."""
    try:
        path = _file(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, value.model_dump_json())
    except (OSError, TaskError):
        pass


def _file(kind: str, key: str) -> Path:
    return cache_folder(kind) / "costs" / f"{kind}-{key}.json"
