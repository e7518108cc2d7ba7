"""Results as the files that the dashboard of PEFT's method comparison reads.

One file for each trained cell, of the form that `method_comparison/MetaMathQA/run.py` of PEFT
writes into its `results` folder. PEFT computes what a sweep of this project does not record:

test accuracy     the score if the metric is accuracy, else null; `bench_long` has every score
train total tokens   an estimate: median tokens of a text, at most the length, times texts
file_size         an estimate: four bytes for each trainable parameter
accelerator_memory_*   one peak for all three; on a CPU that of the process above its base
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.core.methods import BASELINES, FULL, HEAD, ZERO_SHOT
from harness.core.result import ACCURACY
from reports.blocks import slug
from reports.frame import Result, runs_of

_NEEDED = ("train_peak_bytes", "train_s", "wall_s", "trainable_params", "started", "examples")
_BYTES_OF_A_PARAMETER = 4


@dataclass(frozen=True)
class PeftFiles:
    """Contents by file name, and how many cells are left out, by reason."""

    files: dict[str, str]
    left_out: Counter[str]


def peft_files(frame: pd.DataFrame) -> PeftFiles:
    """Return a file for each training cell; a failed cell has the status `failed`."""
    results = [r for run in runs_of(frame) for r in run.results if r["in_sweep"]]
    before = _losses_before(results)
    files: dict[str, str] = {}
    left: Counter[str] = Counter()
    for r in results:
        if r["kind"] != "train" or r["method"] in BASELINES:
            left["probes and baselines"] += 1
            continue
        missing = [name for name in _NEEDED if r.ok and r[name] is None]
        if missing:
            left[f"without {missing[0]}"] += 1
            continue
        name = _name(r)
        if f"{_file(name)}.json" in files:
            name = f"{name}-{r['id']}"
        content = _content(r, name, before)
        files[f"{_file(name)}.json"] = json.dumps(content, indent=2, allow_nan=False)
    return PeftFiles(files, left)


def _name(r: Result) -> str:
    """The name of an experiment: method/backbone-task-length-arm-seed."""
    about = f"{slug(str(r['backbone']))}-{slug(str(r['task']))}-len{r['length']}"
    method = "full-finetuning" if r["method"] == FULL else slug(str(r["method"]))
    return f"{method}/{about}-{slug(str(r['arm']))}-seed{r.seed}"


def _file(name: str) -> str:
    return name.replace("/", "--")


def _content(r: Result, name: str, before: dict[tuple[str, int], float]) -> dict[str, Any]:
    steps = (r["examples"] or 0) * (r["epochs"] or 1) // max(1, r["batch_size"] or 1)
    settings = r["settings"]
    return {
        "run_info": {
            "created_at": r["started"],
            "total_time": r["wall_s"],
            "experiment_name": name,
            "peft_branch": "release",
            "train_config": {
                "model_id": r["backbone"],
                "dtype": settings.get("dtype"),
                "max_seq_length": r["length"],
                "batch_size": r["batch_size"],
                "max_steps": steps,
                "seed": r.seed,
                "grad_norm_clip": _number(settings.get("clip")),
                "optimizer_kwargs": {
                    "lr": r["lr"],
                    "weight_decay": _number(settings.get("weight_decay")),
                },
                "task": r["task"],
            },
            "peft_config": _peft_config(r),
            "error_msg": r["error"] or "",
        },
        "train_info": _train_info(r, before),
        "meta_info": {
            "model_info": {"sha": r["backbone_revision"], "created_at": None},
            "dataset_info": {str(r["task"]): {"sha": r["task_revision"], "created_at": None}},
            "package_info": _packages(r),
            "system_info": {
                "system": r["platform"], "processor": r["cpu"],
                "accelerator": r["gpu"] or r["cpu"],
            },
            "pytorch_info": "",
        },
        "bench_long": {
            key: r[key]
            for key in ("id", "arm", "metric", "score", "score_low", "score_high", "commit")
        },
    }  # fmt: skip


def _peft_config(r: Result) -> dict[str, Any] | None:
    """What the cell sets of its PEFT configuration; None for full fine-tuning."""
    if r["method"] == FULL:
        return None
    found = {
        "peft_type": "HEAD_ONLY" if r["method"] == HEAD else str(r["method"]).upper(),
        "task_type": "CAUSAL_LM" if r["settings"].get("uses_lm_head") == "True" else None,
        "base_model_name_or_path": r["backbone"],
        "r": r["rank"],
        "lora_alpha": _number(r["settings"].get("alpha")),
        "target_modules": r["settings"].get("target"),
        "density": r["density"],
        "placement": r["placement"],
        **json.loads(r["options"] or "{}"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _train_info(r: Result, before: dict[tuple[str, int], float]) -> dict[str, Any]:
    if not r.ok:
        return {"status": "failed", "metrics": []}
    peak = r["train_peak_bytes"] - (0 if r["device"] == "cuda" else r["base_bytes"] or 0)
    losses = [p["train_loss"] for p in r["curve"] if p.get("train_loss") is not None]
    samples = r["examples"] * (r["epochs"] or 1)
    tokens = min(r["tokens_median"] or r["length"], r["length"]) * samples
    last = {
        "step": samples // max(1, r["batch_size"] or 1),
        "test accuracy": r["score"] if r["metric"] == ACCURACY else None,
        "train loss": losses[-1] if losses else None,
        "train samples": samples,
        "train total tokens": round(tokens),
    }
    change = _forgetting(r, before)
    return {
        "accelerator_memory_reserved_avg": max(0, peak),
        "accelerator_memory_max": max(0, peak),
        "accelerator_memory_reserved_99th": max(0, peak),
        "train_time": r["train_s"],
        "file_size": r["trainable_params"] * _BYTES_OF_A_PARAMETER,
        "num_trainable_params": r["trainable_params"],
        "num_total_params": r["total_params"],
        "status": "success",
        "metrics": [last | ({} if change is None else {"forgetting": change})],
    }


def _packages(r: Result) -> dict[str, str | None]:
    names = ("transformers", "peft", "datasets", "bitsandbytes", "torch")
    found: dict[str, str | None] = {}
    for name in names:
        found |= {f"{name}-version": r["environment"].get(name), f"{name}-commit-hash": None}
    return found


def _unrelated_loss(r: Result) -> float | None:
    values = [one.value for one in r["further"] if one.kind == "forgetting"]
    return values[0] if values else None


def _losses_before(results: Iterable[Result]) -> dict[tuple[str, int], float]:
    """The loss of the untrained backbone on unrelated text, by task and length."""
    return {
        (str(r["task"]), int(r["length"])): loss
        for r in results
        if r["method"] == ZERO_SHOT and (loss := _unrelated_loss(r)) is not None
    }


def _forgetting(r: Result, before: dict[tuple[str, int], float]) -> float | None:
    """The increase of the loss on unrelated text."""
    first, last = before.get((str(r["task"]), int(r["length"]))), _unrelated_loss(r)
    return None if first is None or last is None else last - first


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
