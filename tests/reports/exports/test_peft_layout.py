"""The files that PEFT's dashboard reads: the fields and types of its `processing.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.exports.peft_layout import peft_files
from reports.frame import load_results
from tests.reports.conftest import make_cell, write_run
from tests.reports.made import forgetting, loss_cell

TYPES = {
    "experiment_name": "string", "model_id": "string", "train_config": "string",
    "peft_config": "string", "accelerator_memory_reserved_avg": int, "accelerator_memory_max": int,
    "accelerator_memory_reserved_99th": int, "total_time": float, "train_time": float,
    "file_size": int, "test_accuracy": float, "train_loss": float, "train_samples": int,
    "train_total_tokens": int, "num_trainable_params": int, "peft_version": "string",
    "peft_branch": "string", "transformers_version": "string", "datasets_version": "string",
    "torch_version": "string", "bitsandbytes_version": "string", "package_info": "string",
    "system_info": "string", "created_at": "string",
}  # fmt: skip
"""The columns of the dashboard, with what it casts them to."""


def columns(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the dashboard: where it reads each column."""
    run, train, meta = row["run_info"], row["train_info"], row["meta_info"]
    last, packages = train["metrics"][-1], meta["package_info"]
    own = ("experiment_name", "train_config", "peft_config", "total_time", "peft_branch")
    own_train = [name for name in TYPES if name in train]
    return {
        **{name: run[name] for name in (*own, "created_at")},
        **{name: train[name] for name in own_train},
        "model_id": run["train_config"]["model_id"],
        "test_accuracy": last["test accuracy"], "train_loss": last["train loss"],
        "train_samples": last["train samples"], "train_total_tokens": last["train total tokens"],
        **{f"{n}_version": packages[f"{n}-version"]
           for n in ("peft", "transformers", "datasets", "torch", "bitsandbytes")},
        "package_info": packages, "system_info": meta["system_info"],
    }  # fmt: skip


def exported(folder: Path) -> dict[str, dict[str, Any]]:
    files = peft_files(load_results(folder)).files
    return {name: json.loads(text) for name, text in files.items()}


def test_every_trained_cell_can_be_a_row_of_the_dashboard(laptop: Path) -> None:
    rows = exported(laptop)
    frame = load_results(laptop)
    trained = frame[(frame["kind"] == "train") & (frame["method"] != "tfidf")]
    assert len(rows) == len(trained)
    fine = [row for row in rows.values() if row["train_info"]["status"] == "success"]
    table = pd.DataFrame([columns(row) for row in fine])
    assert {*table.columns} == {*TYPES}
    table = table.astype(TYPES)
    assert sorted(table["test_accuracy"]) == sorted(trained["score"].dropna())
    assert table["experiment_name"].is_unique
    pd.to_datetime(table["created_at"])
    assert sum(row["train_info"]["status"] == "failed" for row in rows.values()) == 2


def test_names_of_files_follow_the_experiment(laptop: Path) -> None:
    name = "lora--minilm-newsgroups-len128-lora-1-2-seed0.json"
    row = exported(laptop)[name]
    assert row["run_info"]["experiment_name"] == name.removesuffix(".json").replace("--", "/", 1)
    config = row["run_info"]["peft_config"]
    assert (config["peft_type"], config["r"], config["density"]) == ("LORA", 8, 0.5)
    full = exported(laptop)["full-finetuning--minilm-newsgroups-len128-full-seed0.json"]
    assert full["run_info"]["peft_config"] is None


def test_memory_is_that_above_the_base(tmp_path: Path) -> None:
    cell = make_cell("lora", cost={"train_peak_bytes": 700, "base_bytes": 500})
    (row,) = exported(write_run(tmp_path / "run", [cell])).values()
    assert row["train_info"]["accelerator_memory_max"] == 200


def test_what_the_dashboard_cannot_show_is_left_out_with_a_reason(tmp_path: Path) -> None:
    cells = [
        make_cell("lora", cost=None, length=64), make_cell("lora"), make_cell("tfidf"),
        make_cell("lora", kind="probe"),
    ]  # fmt: skip
    found = peft_files(load_results(write_run(tmp_path / "run", cells)))
    assert len(found.files) == 1
    assert found.left_out == {"without train_peak_bytes": 1, "probes and baselines": 2}


def test_another_metric_than_accuracy_is_no_accuracy(tmp_path: Path) -> None:
    base, lora = loss_cell("base"), loss_cell("lora")
    base["evaluations"], lora["evaluations"] = [forgetting([3.0, 3.2])], [forgetting([3.4, 3.4])]
    (row,) = exported(write_run(tmp_path / "run", [base, lora])).values()
    last = row["train_info"]["metrics"][-1]
    assert last["test accuracy"] is None
    assert last["forgetting"] == pytest.approx(0.3)
    assert row["bench_long"]["metric"] == "loss"
    assert row["bench_long"]["score"] == pytest.approx(lora["scores"]["score"])


def test_equal_names_do_not_hide_each_other(tmp_path: Path) -> None:
    made = [make_cell("lora", lr=lr) for lr in (1e-3, 2e-3)]
    assert len(exported(write_run(tmp_path / "run", made))) == 2
