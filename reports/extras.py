"""Settings of a cell that decide whether it is comparable with another."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from harness.core.cell import Cell
from harness.core.result import Evaluation
from harness.core.values import LONGEST_TEXT, clean, number

_ASKED = (
    "dtype", "device", "examples", "test_examples", "epochs", "batch_size", "warmup",
    "weight_decay", "clip", "dropout", "target", "uses_lm_head", "evaluation_examples",
    "curriculum",
)  # fmt: skip
_LM_EVAL = "lm_eval:"


def asked(cell: Cell) -> dict[str, str]:
    """Return the settings of a cell as texts, without those that do not apply.

    `lm_eval` holds the versions of the tasks of lm-eval.
    """
    found = {}
    for name in _ASKED:
        value = getattr(cell, name)
        if isinstance(value, str | bool) or number(value) is not None:
            found[name] = f"{value:.12g}" if isinstance(value, float) else clean(value)
    pins = [f"{k} {v}" for k, v in sorted(cell.revisions.items()) if k.startswith(_LM_EVAL)]
    text = ", ".join(pins)
    if len(text) > LONGEST_TEXT:  # cutting it would make different ones equal
        text = f"{len(pins)} tasks, {sha256(text.encode(errors='replace')).hexdigest()[:12]}"
    return found | ({"lm_eval": clean(text)} if pins else {})


def statuses(found: Sequence[Evaluation]) -> list[str]:
    """Return the statuses of the evaluations that failed."""
    return [one.status for one in found if one.status != "ok"]
