"""Checks the lm-eval tasks of a sweep before its first cell starts. Nothing is downloaded."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from harness.core.errors import BadInput, nearest, one_line
from harness.lm_eval import tasks as lm_tasks
from harness.lm_eval.run import completed
from harness.models.backbones import Backbone
from harness.system.deadline import TimedOut

PREFIX = "lm_eval:"
"""Sweeps name a task of lm-eval with this prefix: `lm_eval:niah_single_1`."""

_OFFLINE = ("niah_single_1", "niah_multikey_2", "niah_multikey_3", "ruler_fwe")
"""Tasks that need no data from a network."""

_SECONDS = 5.0
"""Time for one example. Examples that can be built take less than a second."""

_OTHER_SPELLING = re.compile(r"lm[-_ ]?eval(?:uation)?(?:[-_ ]harness)?(?:[:/.](.*))?", re.I)


def suggested_name(name: str) -> str | None:
    """Return how a sweep names the lm-eval task that an unknown name seems to mean."""
    match = _OTHER_SPELLING.fullmatch(name.strip())
    return f"{PREFIX}{(match[1] or '').strip() or 'NAME'}" if match else None


def check(
    names: Sequence[str], lengths: Sequence[int], backbone: Backbone, where: str
) -> dict[str, str]:
    """Build one example of each task (without prefix) at each length; return the tasks' versions.

    Raises:
        BadInput: lm-eval is not installed, a name is unknown, data are not on this machine, a task
            runs code that the model writes, or it has no example that fits a length.
    """
    if not names:
        return {}
    if lm_tasks.folder() is None:
        raise BadInput(
            f"{where}: '{PREFIX}{names[0]}' needs the package lm_eval, which is not installed: "
            f"pip install -e '.[lm-eval]'"
        )
    known = lm_tasks.index()
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1, 0.6) or _OFFLINE
            raise BadInput(
                f"{where}: '{PREFIX}{name}': lm-eval has no task of this name (groups and tags are "
                f"not supported: name their tasks).{nearest(name, close)}"
            )
    from harness.models.tokens import load_tokenizer

    try:
        tokenizer = completed(load_tokenizer(backbone))
    except Exception as error:
        raise BadInput(f"{where}: tokenizer of {backbone.folder}: {one_line(error)}") from None
    for name in names:
        # Only RULER's texts depend on the length.
        for length in sorted({*lengths}) if lm_tasks.is_ruler(name) else [max(lengths)]:
            if reason := _unusable(name, tokenizer, length):
                raise BadInput(f"{where}: '{PREFIX}{name}' {reason}")
    return {name: lm_tasks.version(name) for name in names}


def _unusable(name: str, tokenizer: Any, length: int) -> str:
    """Why a task cannot run at a length; empty if it can."""
    settings = lm_tasks.settings(name)
    if settings.get("unsafe_code"):
        return "runs code that the model writes, which is not supported"
    if settings.get("doc_to_image") or settings.get("doc_to_audio"):
        return "has images or audio, and only text is supported"
    ruler = lm_tasks.is_ruler(name)
    try:
        with lm_tasks.quiet_and_offline():
            lm_tasks.build(name, tokenizer, length, 1, _SECONDS)
        return ""
    except TimedOut:  # some of RULER's loops do not end
        return (
            f"builds no example of {length} tokens within {_SECONDS:g} s: remove it, or use other "
            f"lengths"
        )
    except ModuleNotFoundError as error:
        return f"needs the package {error.name}, which is not installed"
    except lm_tasks.NeedsNetworkError:
        return "uses the network each time it runs, and a run downloads nothing: remove it"
    except lm_tasks.DataNotHereError as error:
        settings_of_ruler = """ --metadata '{"tokenizer": "gpt2"}'""" if ruler else ""
        return (
            f"has data that are not on this machine, and a run downloads nothing: "
            f"{one_line(error)}: get them with a network, once: "
            f"lm_eval --model dummy --limit 1 --tasks {name}{settings_of_ruler}"
        )
    except Exception as error:
        at = f" at {length} tokens" if ruler else ""
        return f"cannot be built{at}: {one_line(error)}"
