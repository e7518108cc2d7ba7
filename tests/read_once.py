"""Files that stay as they are, are read once in a process of tests.

A plan takes half a second, nearly all of it for checksums of the embedded data, its examples, a
tokenizer and a study. A file that changes is read again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import pytest

import harness.models.tokens as tokens
import harness.planning.tuned as tuned
import tasks.lib.cache as examples
from harness.models.backbones import EMBEDDED, Backbone
from tasks.base import Splits
from tasks.lib.opened import SETTLED

_MOST = 6
"""Values of each kind that are kept."""


def _state(state: os.stat_result) -> Hashable:
    """What changes with a file; None if its times may not show the next change yet."""
    if state.st_ctime > time.time() - SETTLED:
        return None
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_ctime_ns, state.st_size


def _of_path(path: Path) -> Hashable:
    return _state(path.stat()) if path.is_file() else None


def _kept(make: Callable[..., Any], key_of: Callable[..., Hashable]) -> Callable[..., Any]:
    """Return `make` with a memory; a key of None is not remembered."""
    found: dict[Hashable, Any] = {}

    def given(*args: Any) -> Any:
        key = key_of(*args)
        if key is None:
            return make(*args)
        if key not in found:
            while len(found) >= _MOST:
                del found[next(iter(found))]
            found[key] = make(*args)
        return found[key]

    return given


def _of_open_file(file: Any, *more: Hashable) -> Hashable:
    try:
        state = _state(os.fstat(file.fileno()))
        return state and (state, file.tell(), *more)
    except (AttributeError, OSError):  # it is no file
        return None


def _of_embedded(backbone: Backbone) -> Hashable:
    return _of_path(backbone.folder / "tokenizer.json") if backbone.name in EMBEDDED else None


def read_files_once(patch: pytest.MonkeyPatch) -> None:
    """Give the functions that read such files a memory."""
    digest = _kept(hashlib.file_digest, _of_open_file)
    patch.setattr(hashlib, "file_digest", lambda file, name: digest(file, name).copy())
    read = _kept(examples.read_lines, _of_open_file)

    def copied(lines: Iterable[str]) -> Splits:
        return Splits(*map(list, read(lines)))

    patch.setattr(examples, "read_lines", copied)
    patch.setattr(tokens, "_tokenizer", _kept(tokens._tokenizer, _of_embedded))
    patch.setattr(tuned, "read", _kept(tuned.read, _of_path))
