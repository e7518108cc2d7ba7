"""All results of a run in one compressed file, for a repository: `cells.jsonl.gz`.

A folder with this file, `sweep.yaml` and `manifest.json` is read like the run folder it was made
from.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput
from harness.core.result import CellResult

PACKED = "cells.jsonl.gz"

_LARGEST = 2**30
"""Bytes of a packed file after decompression, at most: it may come from anyone."""

_DIGITS = 6
"""Significant digits of numbers in lists, of which there is one for each text or round."""

MACHINE = ("cpu", "cores", "memory_gib", "gpu", "torch", "transformers", "peft")
"""What a published run must have done on one machine with."""


def packed(results: Iterable[CellResult]) -> bytes:
    """Return the content of a packed file: one result in each line, ordered by id.

    Equal results give equal bytes. Numbers in lists are rounded to six digits.
    """
    lines = [
        json.dumps(_rounded(result.model_dump(mode="json")), sort_keys=True)
        for result in sorted(results, key=lambda result: result.id)
    ]
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), 9, mtime=0)


def unpacked(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (name, JSON value) for each line of a packed file; the name is for messages.

    Raises:
        ValueError: it is not such a file, or too large.
        OSError: it cannot be read.
    """
    read = 0
    try:
        with gzip.open(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(_LARGEST), b""), 1):
                read += len(line)
                if read >= _LARGEST:
                    raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
                yield f"{path.name}:{number}", json.loads(line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"it is damaged: {error}") from None


def check_one_origin(results: Iterable[CellResult], place: str) -> None:
    """Check that results come from one commit without changes, one number format, one machine.

    Raises:
        BadInput: naming what differs.
    """
    results = list(results)
    if not results:
        raise BadInput(f"{place}: no results are here")
    commits = _values(result.environment.commit for result in results)
    if len(commits) > 1 or "+" in commits[0]:
        raise BadInput(
            f"{place}: its cells are from {', '.join(commits)}: run it again from one commit "
            f"without changes"
        )
    formats = _values(result.cell.dtype for result in results)
    if len(formats) > 1:
        raise BadInput(f"{place}: its cells have the number formats {', '.join(formats)}")
    for name in MACHINE:
        values = _values(getattr(result.environment, name) for result in results)
        if len(values) > 1:
            raise BadInput(
                f"{place}: its cells are from several machines: {name} is {', '.join(values)}"
            )


def _values(found: Iterable[Any]) -> list[str]:
    return sorted({"not recorded" if value is None else str(value) for value in found})


def _rounded(value: Any, in_list: bool = False) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if in_list else value
    if isinstance(value, list):
        return [_rounded(item, True) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
