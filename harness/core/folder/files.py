"""Single files of a run folder: atomic writing, and why one cannot be used."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.core.values import clean


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside the target, flush to disk, rename: a reader sees the old or the new content.

    Raises:
        OSError: it cannot be written; the file is named.
    """
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:  # a full disk does not name the file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError, OSError, RecursionError: the file has none.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def reason_of(error: Exception) -> str:
    """Why a file cannot be used, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        return clean(f"{place} {message}" if place else message)
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "not valid JSON"
    return clean(error)
