"""Backbones that are a configuration alone: costs are computed for them, and nothing is trained.

A configuration is a file `config.json`, a folder with one, or the name of a shipped one
(`configs/`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from harness.core.errors import BadInput, nearest
from harness.models.backbone_files import read_json
from harness.models.backbones import RANDOM, Backbone

_SHIPPED = Path(__file__).parent / "configs"
_CONFIG = "config.json"


def shipped_configurations() -> list[str]:
    """Return the names of the configurations that are part of this package."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{_CONFIG}"))


def find_configuration(text: str, where: str, beside: Path = Path()) -> Backbone:
    """Return the backbone of a configuration. No weights are read.

    Args:
        text: a shipped name, a file `config.json`, or a folder with one.
        where: file and key, for messages.
        beside: the folder that a path is relative to.

    Raises:
        BadInput: there is no such configuration, or it is not valid.
    """
    if text in shipped_configurations():
        folder, name = _SHIPPED / text, text
    else:
        path = beside / Path(text).expanduser()
        folder = path.parent if path.name == _CONFIG else path
        name = folder.resolve().name
        if not (folder / _CONFIG).is_file():
            known = shipped_configurations()
            raise BadInput(
                f"{where}: '{text:.80}' is no {_CONFIG}, no folder with one, and no shipped "
                f"configuration ({', '.join(known)}).{nearest(text, known)}"
            )
    settings = read_json(folder / _CONFIG, where)
    content = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Backbone(name, folder, f"config:{digest}", RANDOM)
