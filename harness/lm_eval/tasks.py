"""lm-eval's tasks by name: found without its slow index, built without its network and its hangs.

Facts of lm-eval 0.4.13 that this file is made for: its index reads 14,000 YAML files (20 s and
more); RULER's builders make 500 examples whatever the limit, load tokenizers with remote code on,
may loop for ever inside a bare `except:`, and fetch a part of nltk when they are imported.
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
from harness.execution.deadline import in_child
from harness.lm_eval.words import import_niah, swapped

_TASK_LINE = re.compile(rb"""^task:[ \t]*["']?([^\s"'\[{#]+)["']?[ \t]*(?:#.*)?\r?$""", re.M)

_SEEDS = (0, 1234)
"""Of `random` and numpy, as lm-eval has them: the examples are the ones that it would build."""


class DataError(Exception):
    """A task's data cannot be built."""


def folder() -> Path | None:
    """Where lm-eval's tasks are, None if it is not installed. Imports nothing."""
    spec = importlib.util.find_spec("lm_eval")
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) / "tasks" if places else None


@cache
def index() -> dict[str, Path]:
    """The YAML file of each task by the task's name (groups and tags are left out)."""
    root = folder()
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*.yaml")) if root else []:
        match = _TASK_LINE.search(path.read_bytes())
        if match:
            found.setdefault(match[1].decode(errors="replace"), path)
    return found


def settings(name: str) -> dict[str, Any]:
    """A task's settings as its YAML has them, its functions as plain names."""
    from lm_eval.tasks._yaml_loader import load_yaml

    return dict(load_yaml(index()[name], resolve_func=False))


def version(name: str) -> str:
    """What pins a task's results: lm-eval's version and the task's own."""
    from importlib import metadata

    number = (settings(name).get("metadata") or {}).get("version", "unknown")
    return f"lm-eval {metadata.version('lm_eval')}, task version {number}"


def is_ruler(name: str) -> bool:
    """Whether a task's texts are generated at any length, and its metrics are named by lengths."""
    return index()[name].parent.name == "ruler"


def build(name: str, tokenizer: Any, length: int, limit: int | None, seconds: float) -> Any:
    """Make a task's object with its data: of RULER `limit` examples of `length` tokens.

    To be called under `quiet_and_offline`.

    Raises:
        DataError: the data cannot be built at this length, in words.
        TimedOut: building takes longer than `seconds`.
        OSError, datasets' and the hub's errors: data that are not on this machine.
    """
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    if is_ruler(name):
        import_niah()
    config = dict(load_yaml(index()[name], resolve_func=True))
    if is_ruler(name):
        make = config["custom_dataset"]

        def built(**_: Any) -> Any:
            return _built_apart(make, tokenizer, length, limit, seconds)

        config["custom_dataset"] = built
    for structural in ("tag", "group", "task_list", "include"):
        config.pop(structural, None)
    _seed()
    manager = TaskManager(include_defaults=False, metadata={"max_seq_lengths": [length]})
    return next(iter(manager.load([config])["tasks"].values()))


def _built_apart(
    make: Callable[..., Any], tokenizer: Any, length: int, limit: int | None, seconds: float
) -> Any:
    """RULER's examples, built in a process of their own that can be ended at any time."""
    import datasets

    def text() -> str:
        try:
            # This process goes away: its copies of the modules may be changed.
            for module in [m for n, m in sys.modules.items() if n.startswith("lm_eval.tasks.")]:
                _bend(vars(module), tokenizer, limit)
            _bend(make.__globals__, tokenizer, limit)
            _seed()
            splits = make(tokenizer="given", max_seq_lengths=[length])
            if not all(row["outputs"] for rows in splits.values() for row in rows):
                raise ValueError("examples without an answer: the length is too short")
            return json.dumps({split: rows.to_list() for split, rows in splits.items()})
        except Exception as error:
            return json.dumps({"error": f"{type(error).__name__}: {_reason(error)}"})

    splits = json.loads(in_child(text, seconds))
    if "error" in splits:
        raise DataError(splits["error"])
    return {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()}


def _bend(names: dict[str, Any], tokenizer: Any, limit: int | None) -> None:
    """Give a RULER module our tokenizer, and a progress bar that ends after `limit` examples.

    The bar is the one thing that all its builders have around the loop over examples. The first
    examples are the same as those of a full build.
    """
    if "get_tokenizer" in names:
        names["get_tokenizer"] = lambda *_, **__: tokenizer
    if "tqdm" in names:
        names["tqdm"] = lambda items, *_, **__: islice(items, limit)


def _reason(error: BaseException) -> str:
    if isinstance(error, LookupError) and "punkt" in str(error):
        return "nltk's sentence splitter punkt_tab is missing: python -m nltk.downloader punkt_tab"
    return one_line(error)


def _seed() -> None:
    import numpy as np

    random.seed(_SEEDS[0])
    np.random.seed(_SEEDS[1])


@contextmanager
def quiet_and_offline() -> Iterator[None]:
    """Keep libraries from the network, and their words, which may hold texts, from every log."""
    import datasets
    import huggingface_hub.constants as hub
    import lm_eval  # noqa: F401  # sets its logger up

    def refuse(*_: Any, **__: Any) -> None:
        raise socket.gaierror("a run fetches nothing")

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
