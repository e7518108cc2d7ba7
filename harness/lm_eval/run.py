"""Evaluation-only tasks: lm-eval's, by name, on a causal language model as it is in memory."""

from __future__ import annotations

import copy
import difflib
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput, log_traceback, nearest, one_line
from harness.core.result import Evaluation
from harness.execution.deadline import TimedOut, hard_limit
from harness.lm_eval import tasks as lm_tasks
from harness.lm_eval.results import entries_of, failed

PREFIX = "lm_eval:"
"""What a task of lm-eval is called by in a sweep: `lm_eval:niah_single_1`."""

_OFFLINE = ("niah_single_1", "niah_multikey_2", "niah_multikey_3", "ruler_fwe")
"""Tasks that need no data from a network."""

ROOM = 160
"""Tokens beyond the length for RULER: an answer's beginning is put behind the text, uncounted, and
a shorter window would cut the text's own beginning off."""

_CHECK_SECONDS = 5.0
"""For one example; those that end take less than one."""

_METADATA = '{"tokenizer": "gpt2"}'
"""What RULER is to be given on lm-eval's own command line."""

_ITS_NAME = re.compile(r"lm[-_ ]?eval(?:uation)?(?:[-_ ]harness)?(?:[:/.](.*))?", re.I)


def meant_task(name: str) -> str | None:
    """Return how a sweep names a task of lm-eval, where a name begins with its name only nearly."""
    match = _ITS_NAME.fullmatch(name.strip())
    return f"{PREFIX}{(match[1] or '').strip() or 'NAME'}" if match else None


def check(
    names: Sequence[str], lengths: Sequence[int], tokenizer_folder: Path, where: str
) -> dict[str, str]:
    """Check lm-eval tasks before a sweep starts; return what pins each (names without prefix).

    One example of each is built at each length. Nothing is fetched.

    Raises:
        BadInput: lm-eval is missing, a name is unknown, its data are not on this machine, it runs
            code that a model writes, or it has no example that fits a length.
    """
    if not names:
        return {}
    if lm_tasks.folder() is None:
        raise BadInput(
            f"{where}: '{PREFIX}{names[0]}' needs the package lm_eval, which is not installed: "
            f"pip install 'bench-long[lm-eval]'"
        )
    known = lm_tasks.index()
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1, 0.6) or _OFFLINE
            raise BadInput(
                f"{where}: '{PREFIX}{name}': lm-eval has no task of this name (its groups and tags "
                f"are not taken: name their tasks).{nearest(name, close)}"
            )
    from harness.models.backbones import Backbone
    from harness.models.tokens import load_tokenizer

    try:
        tokenizer = _complete(load_tokenizer(Backbone("", tokenizer_folder, "")))
    except Exception as error:
        raise BadInput(f"{where}: tokenizer of {tokenizer_folder}: {one_line(error)}") from None
    for name in names:
        _check_settings(name, where)
        # Only RULER's texts depend on the length.
        for length in sorted(set(lengths)) if lm_tasks.is_ruler(name) else [max(lengths)]:
            _check_data(name, tokenizer, length, where)
    return {name: lm_tasks.version(name) for name in names}


def _check_settings(name: str, where: str) -> None:
    settings = lm_tasks.settings(name)
    if settings.get("unsafe_code"):
        raise BadInput(
            f"{where}: '{PREFIX}{name}' runs code that the model writes: this is never done here"
        )
    if settings.get("doc_to_image") or settings.get("doc_to_audio"):
        raise BadInput(f"{where}: '{PREFIX}{name}' shows pictures or plays sound, not only text")


def _check_data(name: str, tokenizer: Any, length: int, where: str) -> None:
    try:
        with lm_tasks.quiet_and_offline():
            lm_tasks.build(name, tokenizer, length, 1, _CHECK_SECONDS)
        return
    except TimedOut:  # RULER's loops that do not end
        reason = (
            f"builds no example of {length} tokens within {_CHECK_SECONDS:g} s: leave it out, or "
            f"take other lengths"
        )
    except ModuleNotFoundError as error:
        reason = f"needs the package {error.name}, which is not installed"
    except Exception as error:
        reason = _why_no_data(name, length, error)
    raise BadInput(f"{where}: '{PREFIX}{name}' {reason}")


def _why_no_data(name: str, length: int, error: Exception) -> str:
    said = one_line(error)
    if "a run fetches nothing" in said or "HTTPSConnectionPool" in said:
        return "reads the network each time that it runs, and a run fetches nothing: leave it out"
    if "Couldn't reach" in said or "offline" in said.lower():
        if lm_tasks.is_ruler(name):
            how = f"lm_eval --model dummy --limit 1 --tasks {name} --metadata '{_METADATA}'"
        else:
            how = f"lm_eval --model dummy --limit 1 --tasks {name}"
        return (
            f"has data that are not on this machine, and a run fetches nothing: {said}: get them "
            f"with a network, once: {how}"
        )
    at = f" at {length} tokens" if lm_tasks.is_ruler(name) else ""
    return f"cannot be built{at}: {said}"


def run_evaluations(
    model: Any,
    tokenizer: Any,
    names: Sequence[str],
    length: int,
    limit: int | None,
    batch_size: int,
    seconds: float,
) -> list[Evaluation]:
    """Run lm-eval tasks on a causal language model (or a PEFT model around one) on its device.

    RULER's texts have `length` tokens; other tasks see at most the last `length` tokens. Greedy,
    and the same at each call. To be called in the main thread (it uses SIGALRM).

    Args:
        model: in evaluation mode.
        tokenizer: the model's.
        names: tasks, without the prefix.
        length: in tokens.
        limit: examples of a task, at most; None for all.
        batch_size: texts at a time.
        seconds: for one task, its data included; what is over it has the status `timeout`.

    Returns:
        One entry a metric; one with a status and a message for a task that failed.
    """
    entries: list[Evaluation] = []
    for name in names:
        start = time.perf_counter()
        rows: list[Evaluation]
        try:
            with hard_limit(seconds), lm_tasks.quiet_and_offline():
                rows = _evaluate(model, tokenizer, name, length, limit, batch_size, seconds)
        except TimedOut:
            rows = [failed(name, "timeout", f"not done after {seconds:g} s")]
        except Exception as error:
            log_traceback()
            rows = [failed(name, "error", f"{type(error).__name__}: {one_line(error)}")]
        about = {"seconds": time.perf_counter() - start, "version": _version(name)}
        entries += [row.model_copy(update=about) for row in rows]
    return entries


def _version(name: str) -> str:
    try:
        return lm_tasks.version(name)
    except Exception:
        return "unknown"


def _evaluate(
    model: Any,
    tokenizer: Any,
    name: str,
    length: int,
    limit: int | None,
    batch_size: int,
    seconds: float,
) -> list[Evaluation]:
    import torch
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    from harness.models.position_tables import check_positions

    ruler = lm_tasks.is_ruler(name)
    window = length + ROOM if ruler else length
    check_positions(model, window)
    tokenizer = _complete(tokenizer)
    task = lm_tasks.build(name, tokenizer, length, limit, seconds)
    if task.get_config("num_fewshot") is None:
        task.set_config("num_fewshot", 0)
    task.set_fewshot_seed(1234)
    if task.get_config("output_type") == "generate_until":
        greedy = {"do_sample": False, "temperature": 0.0}
        task.set_config("generation_kwargs", greedy, update=True)
    wrapped = HFLM(
        pretrained=model,
        tokenizer=tokenizer,
        backend="causal",
        max_length=window,
        batch_size=batch_size,
        add_bos_token=False if _ends_texts(tokenizer) else None,
        trust_remote_code=False,
    )
    state = torch.get_rng_state()
    torch.manual_seed(1234)
    try:
        found = evaluate(
            lm=wrapped,
            task_dict={"tasks": {name: task}, "groups": {}, "group_map": {}},
            limit=limit,
            bootstrap_iters=0,  # it would start processes; the errors of means are taken below
            log_samples=True,
        )
    finally:
        torch.set_rng_state(state)
    return entries_of(name, found, str(length) if ruler else None)


def _complete(tokenizer: Any) -> Any:
    """A copy that has an end of text, which lm-eval takes for granted."""
    tokenizer = copy.deepcopy(tokenizer)
    if tokenizer.eos_token is None:
        tokenizer.eos_token = tokenizer.sep_token or tokenizer.pad_token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.model_max_length = int(1e9)  # the window is lm-eval's to keep
    return tokenizer


def _ends_texts(tokenizer: Any) -> bool:
    """Whether the tokenizer closes a text, as BERT's does: nothing could be written behind it."""
    return tokenizer("a")["input_ids"][-1] in tokenizer.all_special_ids
