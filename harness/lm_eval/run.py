"""Runs tasks of lm-eval on a causal language model in memory."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Any

from harness.core.errors import log_traceback, one_line
from harness.core.result import Evaluation
from harness.lm_eval import tasks as lm_tasks
from harness.lm_eval.results import entries_of, failed
from harness.system.deadline import TimedOut, hard_limit

_RULER_EXTRA = 160
"""Tokens beyond the length of RULER's texts. The beginning of the answer follows the text and does
not count; a shorter window would cut off the start of the text."""

_SEED = 1234


def extra_positions(names: Sequence[str]) -> int:
    """How many positions beyond a cell's length these tasks need."""
    return _RULER_EXTRA if any(map(lm_tasks.is_ruler, names)) else 0


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

    RULER's texts have `length` tokens; other tasks see at most the last `length` tokens. Decoding
    is greedy, and results repeat. Call it in the main thread (it uses SIGALRM).

    Args:
        model: in evaluation mode.
        tokenizer: the model's.
        names: tasks, without the prefix.
        length: in tokens.
        limit: most examples per task; None for all.
        batch_size: in texts.
        seconds: per task, with its data; a task that takes longer has the status `timeout`.

    Returns:
        One entry per metric, and one for each task that failed.
    """
    entries: list[Evaluation] = []
    for name in names:
        start = time.perf_counter()
        try:
            with hard_limit(seconds), lm_tasks.quiet_and_offline():
                rows = _evaluate(model, tokenizer, name, length, limit, batch_size, seconds)
        except TimedOut:
            rows = [failed(name, "timeout", f"not done after {seconds:g} s")]
        except Exception as error:
            log_traceback()
            rows = [failed(name, "error", f"{type(error).__name__}: {one_line(error)}")]
        about = {"seconds": time.perf_counter() - start, "version": lm_tasks.version(name)}
        entries += [row.model_copy(update=about) for row in rows]
    return entries


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

    window = length + extra_positions([name])
    check_positions(model, window)
    tokenizer = completed(tokenizer)
    task = lm_tasks.build(name, tokenizer, length, limit, seconds)
    if task.get_config("num_fewshot") is None:
        task.set_config("num_fewshot", 0)
    task.set_fewshot_seed(_SEED)
    if task.get_config("output_type") == "generate_until":
        greedy = {"do_sample": False, "temperature": 0.0}
        task.set_config("generation_kwargs", greedy, update=True)
    # A special token at the end of the prompt, as BERT's tokenizer adds, would end the text.
    closes_texts = tokenizer("a")["input_ids"][-1] in tokenizer.all_special_ids
    wrapped = HFLM(
        pretrained=model,
        tokenizer=tokenizer,
        backend="causal",
        max_length=window,
        batch_size=batch_size,
        add_bos_token=False if closes_texts else None,
        trust_remote_code=False,
    )
    state = torch.get_rng_state()
    torch.manual_seed(_SEED)
    try:
        found = evaluate(
            lm=wrapped,
            task_dict={"tasks": {name: task}, "groups": {}, "group_map": {}},
            limit=limit,
            bootstrap_iters=0,  # it would start processes; `entries_of` computes standard errors
            log_samples=True,
        )
    finally:
        torch.set_rng_state(state)
    return entries_of(name, found, length if lm_tasks.is_ruler(name) else None)


def completed(tokenizer: Any) -> Any:
    """Return a copy with an end-of-text and a padding token, which lm-eval requires."""
    tokenizer = copy.deepcopy(tokenizer)
    if tokenizer.eos_token is None:
        tokenizer.eos_token = tokenizer.sep_token or tokenizer.pad_token
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.model_max_length = int(1e9)  # lm-eval keeps texts within its own window
    return tokenizer
