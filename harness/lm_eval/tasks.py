"""Builds tasks of lm-eval by name, without its slow index, network access and endless loops.

This module relies on internals of lm-eval 0.4.13: its index reads 14,000 YAML files (over 20 s);
RULER's builders make 500 examples whatever the limit, load tokenizers with remote code enabled, may
loop forever inside a bare `except:`, and download a part of nltk on import.
"""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import random
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from harness.core.errors import one_line
from harness.lm_eval.words import import_niah, swapped
from harness.system.deadline import in_child

_TASK_LINE = re.compile(rb"""^task:[ \t]*["']?([^\s"'\[{#]+)["']?[ \t]*(?:#.*)?\r?$""", re.M)

_SEEDS = (0, 1234)
"""Seeds of `random` and numpy in lm-eval, so that the examples are those it would build."""


class DataError(Exception):
    """The data of a task cannot be built."""


class DataNotHereError(DataError):
    """The data of a task are not on this machine."""


class NeedsNetworkError(DataError):
    """A task uses the network each time it runs."""


class _RefusedError(socket.gaierror):
    """Code tried to use the network."""


def folder() -> Path | None:
    """Return the folder of lm-eval's tasks, None if it is not installed. Imports nothing."""
    spec = importlib.util.find_spec("lm_eval")
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) / "tasks" if places else None


@cache
def index() -> dict[str, Path]:
    """Return the YAML file of each task by name, without groups and tags."""
    root = folder()
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*.yaml")) if root else []:
        match = _TASK_LINE.search(path.read_bytes())
        if match:
            found.setdefault(match[1].decode(errors="replace"), path)
    return found


def settings(name: str) -> dict[str, Any]:
    """Return a task's settings from its YAML, with functions as names."""
    from lm_eval.tasks._yaml_loader import load_yaml

    return dict(load_yaml(index()[name], resolve_func=False))


def version(name: str) -> str:
    """Return the version of lm-eval and of the task; results are comparable if they are equal."""
    from importlib import metadata

    number = (settings(name).get("metadata") or {}).get("version", "unknown")
    return f"lm-eval {metadata.version('lm_eval')}, task version {number}"


def is_ruler(name: str) -> bool:
    """Whether a task belongs to RULER: texts of any length, metrics named by lengths."""
    return index()[name].parent.name == "ruler"


def build(name: str, tokenizer: Any, length: int, limit: int | None, seconds: float) -> Any:
    """Make the object of a task with its data. RULER makes `limit` examples of `length` tokens.

    Call it inside `quiet_and_offline`.

    Raises:
        DataError: the data cannot be built.
        ImportError: a package of the task is missing.
        TimedOut: building takes longer than `seconds`.
    """
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    if is_ruler(name):
        import_niah()
    config = dict(load_yaml(index()[name], resolve_func=True))
    if is_ruler(name):
        make = config["custom_dataset"]

        def built(**_: Any) -> Any:
            return _build_in_child(make, tokenizer, length, limit, seconds)

        config["custom_dataset"] = built
    for structural in ("tag", "group", "task_list", "include"):
        config.pop(structural, None)
    _seed()
    manager = TaskManager(include_defaults=False, metadata={"max_seq_lengths": [length]})
    try:
        return next(iter(manager.load([config])["tasks"].values()))
    except (DataError, ImportError):
        raise
    except Exception as error:
        raise _data_error(error) from error


def _build_in_child(
    make: Callable[..., Any], tokenizer: Any, length: int, limit: int | None, seconds: float
) -> Any:
    """Build RULER's examples in a process that can be ended at any time."""
    import datasets

    def text() -> str:
        try:
            # The process ends after this, so its copies of the modules may be patched.
            for module in [m for n, m in sys.modules.items() if n.startswith("lm_eval.tasks.")]:
                _patch(vars(module), tokenizer, limit)
            _patch(make.__globals__, tokenizer, limit)
            _seed()
            splits = make(tokenizer="given", max_seq_lengths=[length])
            if not all(row["outputs"] for rows in splits.values() for row in rows):
                raise ValueError("examples without an answer: the length is too short")
            return json.dumps({split: rows.to_list() for split, rows in splits.items()})
        except Exception as error:
            failure = _data_error(error)
            return json.dumps({"error": type(failure).__name__, "message": str(failure)})

    splits = json.loads(in_child(text, seconds))
    if "error" in splits:
        kinds = {kind.__name__: kind for kind in (DataNotHereError, NeedsNetworkError)}
        raise kinds.get(splits["error"], DataError)(splits["message"])
    return {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()}


def _patch(names: dict[str, Any], tokenizer: Any, limit: int | None) -> None:
    """Give a RULER module our tokenizer, and a progress bar that ends after `limit` examples.

    All its builders have the bar around the loop over examples. The first examples are those of a
    full build.
    """
    if "get_tokenizer" in names:
        names["get_tokenizer"] = lambda *_, **__: tokenizer
    if "tqdm" in names:
        names["tqdm"] = lambda items, *_, **__: islice(items, limit)


def _data_error(error: BaseException) -> DataError:
    """Return the error of a builder by what it means, with its message in one line."""
    message = f"{type(error).__name__}: {one_line(error)}"
    if isinstance(error, LookupError) and "punkt" in str(error):
        message = "nltk's punkt_tab is missing: python -m nltk.downloader punkt_tab"
    chain = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(inner)
    if any(isinstance(part, _RefusedError) for part in chain):
        return NeedsNetworkError(message)
    if any(isinstance(part, ConnectionError) for part in chain):  # datasets, offline
        return DataNotHereError(message)
    return DataError(message)


def _seed() -> None:
    import numpy as np

    random.seed(_SEEDS[0])
    np.random.seed(_SEEDS[1])


@contextmanager
def quiet_and_offline() -> Iterator[None]:
    """Block the network, and drop the output of libraries, which may quote texts of the data."""
    import datasets
    import huggingface_hub.constants as hub
    import lm_eval  # noqa: F401  # sets its logger up

    def refuse(*_: Any, **__: Any) -> None:
        raise _RefusedError("a run downloads nothing")

    logger = logging.getLogger("lm_eval")
    level = logger.level
    with ExitStack() as stack:
        stack.enter_context(swapped(hub, "HF_HUB_OFFLINE", True))
        stack.enter_context(swapped(datasets.config, "HF_HUB_OFFLINE", True))
        stack.enter_context(swapped(socket, "getaddrinfo", refuse))
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        logger.setLevel(logging.CRITICAL + 1)
        stack.callback(logger.setLevel, level)
        yield
