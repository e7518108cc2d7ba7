"""Tasks of lm-eval (EleutherAI's harness) on a causal language model that is in memory.

lm-eval reads its own task files; nothing is fetched, no code from a hub is run, and nothing that a
text holds is logged. A task that hangs, fails, or has no value for the length becomes an entry that
says so.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.errors import BadInput, nearest, printable, told

_PATIENCE = 30.0
"""Seconds that one sample of a task may take to be built while a sweep is checked."""


class _TooSlow(Exception):
    """A task outran its time."""


def check(
    names: Sequence[str], lengths: Sequence[int], tokenizer_folder: Path, where: str
) -> dict[str, str]:
    """Build a sample of every task, without a network, and return what pins them.

    Raises:
        BadInput: lm-eval is not installed, a task is unknown, or it cannot be built here.
    """
    from transformers import AutoTokenizer

    try:
        release = version("lm_eval")
    except PackageNotFoundError:
        raise BadInput(
            f"{where}: tasks of lm-eval need the package lm-eval: pip install 'bench-long[lm-eval]'"
        ) from None
    tokenizer = AutoTokenizer.from_pretrained(
        tokenizer_folder, local_files_only=True, trust_remote_code=False
    )
    found = {}
    with _confined(tokenizer, samples=1):
        manager = _manager(names, max(lengths))
        for name in names:
            if name not in manager.all_tasks:
                close = nearest(name, manager.all_tasks).partition(" There is:")[0]
                raise BadInput(
                    f"{where}: lm-eval has no task '{name}'.{close} `lm_eval ls tasks` lists them"
                )
            try:
                with _within(_PATIENCE):
                    tasks = manager.load([name])["tasks"]
            except (Exception, SystemExit) as error:  # whatever lm-eval's tasks raise
                reason = "it took too long" if isinstance(error, _TooSlow) else told(error)
                raise BadInput(
                    f"{where}: lm_eval:{name} cannot be built here, and a run fetches nothing "
                    f"({type(error).__name__}: {reason}); if its data is missing, fetch it once "
                    f"with lm-eval itself"
                ) from None
            versions = sorted({str(task.VERSION) for task in tasks.values()})
            found[f"lm_eval:{name}"] = f"lm-eval {release}, task version {', '.join(versions)}"
    return found


def run_evaluations(
    model: Any,
    tokenizer: Any,
    names: Sequence[str],
    length: int,
    limit: int,
    batch_size: int,
    seconds: float,
) -> list[dict[str, Any]]:
    """Run tasks on a transformers causal language model, or a PeftModel around one.

    Prompts are at most `length` tokens with what is generated; RULER's tasks are built for exactly
    that length. `limit` is the number of examples of each task, `seconds` the time of each.
    Decoding is as the task says (greedy for those that generate), seeds are fixed.
    """
    from lm_eval.models.huggingface import HFLM

    entries: list[dict[str, Any]] = []
    with _confined(tokenizer, samples=limit):
        manager = _manager(names, length)
        judge = HFLM(
            pretrained=model, tokenizer=tokenizer, batch_size=batch_size, max_length=length
        )
        for name in names:
            start = time.perf_counter()
            try:
                with _within(seconds):
                    found = _values(name, length, manager, judge, limit)
            except _TooSlow:
                found = [_failure("timeout", f"ended after {seconds:g} s, its limit")]
            except (Exception, SystemExit) as error:
                found = [_failure("error", f"{type(error).__name__}: {told(error)}")]
            took = time.perf_counter() - start
            entries += [{"task": name, **entry, "seconds": took / len(found)} for entry in found]
    return entries


def _values(name: str, length: int, manager: Any, judge: Any, limit: int) -> list[dict[str, Any]]:
    from lm_eval import simple_evaluate

    outcome = simple_evaluate(
        model=judge,
        tasks=[name],
        limit=limit,
        bootstrap_iters=200,
        log_samples=False,
        task_manager=manager,
    )
    assert outcome is not None  # this is the only process
    release = version("lm_eval")
    found = []
    for task, values in sorted(outcome["results"].items()):
        for key, value in sorted(values.items()):
            metric, _, kind = key.partition(",")
            if not kind or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            if metric.isdigit():
                if int(metric) != length:  # RULER names every length; others were not run
                    continue
                metric = "found"
            shown = metric if task == name else f"{task} {metric}"
            shown += "" if kind == "none" else f" ({kind})"
            entry = {
                "metric": printable(shown),
                "examples": outcome.get("n-samples", {}).get(task, {}).get("effective"),
                "higher_is_better": bool(
                    outcome.get("higher_is_better", {})
                    .get(task, {})
                    .get(key.partition(",")[0], True)
                ),
                "version": f"lm-eval {release}, task version {outcome['versions'].get(task)}",
            }
            if value == -1 and metric == "found":
                failure = _failure("error", f"no sample was built for {length} tokens")
                found.append({**failure, **entry})
                continue
            spread = values.get(f"{key.partition(',')[0]}_stderr,{kind}")
            known = isinstance(spread, int | float) and math.isfinite(spread)
            found.append(
                {**entry, "value": float(value), "stderr": float(spread) if known else None,
                 "status": "ok", "message": ""}
            )  # fmt: skip
    return found or [_failure("error", f"lm-eval gave no value for {length} tokens")]


def _failure(status: str, message: str) -> dict[str, Any]:
    return {
        "metric": "",
        "value": None,
        "stderr": None,
        "examples": None,
        "higher_is_better": True,
        "status": status,
        "message": message,
        "version": f"lm-eval {version('lm_eval')}",
    }


def _manager(names: Sequence[str], length: int) -> Any:
    """lm-eval's list of tasks, read from the folders that name ours: all of it takes ten seconds.

    RULER asks for the name of a tokenizer and is given the one in memory (`_confined`).
    """
    import lm_eval.tasks
    from lm_eval.tasks import TaskManager

    root = Path(str(lm_eval.tasks.__file__)).parent
    wanted = re.compile(
        rf"^(task|group|tag): *['\"]?({'|'.join(map(re.escape, names))})['\"]? *$", re.MULTILINE
    )
    folders = sorted(
        {path.parent for path in root.rglob("*.yaml") if wanted.search(path.read_text("utf-8"))}
    )
    settings = {"tokenizer": "in memory", "max_seq_lengths": [length]}
    if folders:
        few = TaskManager(include_path=list(folders), include_defaults=False, metadata=settings)
        if set(names) <= set(few.all_tasks):
            return few
    return TaskManager(metadata=settings)


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise _TooSlow in this thread after `seconds`, whatever Python code it is in."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a time limit holds in the main thread only")

    def ring(*_: object) -> None:
        # Again and again: a library may have caught the first one.
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _confined(tokenizer: Any, samples: int) -> Iterator[None]:
    """lm-eval without a network, without output, with our tokenizer and few samples built."""
    import datasets.config
    import huggingface_hub.constants
    import nltk

    def read(*_: object, **__: object) -> Any:
        return tokenizer

    with contextlib.ExitStack() as undo:
        for place, name, value in (
            (huggingface_hub.constants, "HF_HUB_OFFLINE", True),
            (datasets.config, "HF_HUB_OFFLINE", True),
            (nltk, "download", lambda *_, **__: False),
        ):
            undo.callback(setattr, place, name, getattr(place, name))
            setattr(place, name, value)
        level = logging.root.manager.disable
        undo.callback(logging.disable, level)
        logging.disable(logging.CRITICAL)  # what lm-eval logs is a task's text
        undo.enter_context(contextlib.redirect_stdout(io.StringIO()))
        undo.enter_context(contextlib.redirect_stderr(io.StringIO()))
        for place, name, value in _of_ruler(read, samples):
            undo.callback(setattr, place, name, getattr(place, name))
            setattr(place, name, value)
        yield


def _of_ruler(read: Any, samples: int) -> list[tuple[Any, str, Any]]:
    """What is put in the place of functions of RULER's tasks: the tokenizer, and 500 samples."""
    try:
        from lm_eval.tasks.ruler import (
            common_utils,
            cwe_utils,
            fwe_utils,
            niah_utils,
            prepare_niah,
            qa_utils,
            vt_utils,
        )
    except ImportError:  # the extra `ruler` is not installed: its tasks say so themselves
        return []
    for module in (cwe_utils, fwe_utils, niah_utils, prepare_niah, qa_utils, vt_utils):
        # So that lm-eval's loader of task files takes these modules for those that it has read.
        vars(module).setdefault("__mtime__", Path(str(module.__file__)).stat().st_mtime_ns)

    def few(make: Any) -> Any:
        def made(*args: Any, **options: Any) -> Any:
            if options.get("num_samples", 500) > samples:
                options["num_samples"] = samples
            return make(*args, **options)

        return made

    found: list[tuple[Any, str, Any]] = [
        (module, "get_tokenizer", read)
        for module in (common_utils, cwe_utils, fwe_utils, niah_utils, qa_utils, vt_utils)
        if hasattr(module, "get_tokenizer")
    ]
    makers = (
        (niah_utils, "generate_samples"),
        (cwe_utils, "sys_word_pair_random"),
        (fwe_utils, "sys_kwext"),
        (vt_utils, "sys_vartrack_w_noise_random"),
        (qa_utils, "generate_samples"),
    )
    found += [(m, name, few(getattr(m, name))) for m, name in makers if hasattr(m, name)]
    return found
