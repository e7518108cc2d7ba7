"""The smoke sweep, run for real: its files, its figures, its report, its second run."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binomtest

from tests.harness.conftest import SWEEPS, bench_long, cells, results_here

HOUSE = [
    "id", "kind", "status", "task", "backbone", "method", "density", "placement", "sites", "links",
    "rank", "length", "seed", "lr", "trainable_params", "total_params", "accuracy", "accuracy_low",
    "accuracy_high", "train_tokens_per_s", "eval_tokens_per_s", "train_peak_bytes",
    "eval_peak_bytes", "wall_s", "dtype", "attention", "device",
]  # fmt: skip


@pytest.fixture(scope="module")
def table(smoke: Path) -> pd.DataFrame:
    return pd.read_csv(smoke / "results.csv")


def test_every_cell_is_there_and_fine(smoke: Path, table: pd.DataFrame) -> None:
    assert list(table.columns[: len(HOUSE)]) == HOUSE
    manifest = json.loads((smoke / "manifest.json").read_text())
    assert sorted(table["id"]) == sorted(manifest["ids"])
    assert manifest["finished"] is True
    assert len(table) == 14
    assert set(table["status"]) == {"ok"}


def test_both_adapters_stand_on_the_same_sites(table: pd.DataFrame) -> None:
    train = table[(table["kind"] == "train") & table["method"].isin(["lora", "ssmlora"])]
    assert set(train["sites"]) == {6}
    assert set(train[train["method"] == "ssmlora"]["links"]) == {4}
    assert train[train["method"] == "lora"]["links"].isna().all()
    # 6 sites of 384 x 8 x 2, a head of 384 x 4 + 4, and for SSMLoRA two 8 x 8 a site
    head = 384 * 4 + 4
    pair = 6 * 384 * 8 * 2
    by_method = train.groupby("method")["trainable_params"].first()
    assert by_method["lora"] == pair + head
    assert by_method["ssmlora"] == pair + 6 * 2 * 64 + head


def test_the_control_trains_the_head_only(table: pd.DataFrame) -> None:
    head = table[(table["method"] == "head") & (table["kind"] == "train")]
    assert len(head) == 2
    assert set(head["trainable_params"]) == {384 * 4 + 4}
    arms = table[(table["kind"] == "train") & (table["method"] != "tfidf")]
    assert set(arms["head_lr"]) == {0.01}
    assert set(head["lr"]) == {0.01}
    assert set(arms[arms["method"] != "head"]["lr"]) == {0.001}


def test_full_trains_everything(table: pd.DataFrame) -> None:
    full = table[(table["method"] == "full") & (table["kind"] == "train")]
    assert (full["trainable_params"] == full["total_params"]).all()
    assert (full["total_params"] > 22_000_000).all()


def test_accuracy_and_interval_follow_from_the_kept_predictions(smoke: Path) -> None:
    seen = 0
    for result in cells(smoke).values():
        if result["kind"] != "train":
            continue
        kept, scores = result["predictions"], result["scores"]
        right = sum(p == y for p, y in zip(kept["predicted"], kept["labels"], strict=True))
        count = len(kept["ids"])
        assert count == 40 == len(set(kept["ids"]))
        assert scores["accuracy"] == right / count
        wilson = binomtest(right, count).proportion_ci(method="wilson")
        assert math.isclose(scores["accuracy_low"], wilson.low)
        assert math.isclose(scores["accuracy_high"], wilson.high)
        seen += 1
    assert seen == 10


def test_arms_are_compared_on_the_same_test_texts(smoke: Path) -> None:
    ids = {tuple(r["predictions"]["ids"]) for r in cells(smoke).values() if r["kind"] == "train"}
    assert len(ids) == 1


def test_cost_is_measured(table: pd.DataFrame) -> None:
    trained = table[(table["method"] != "tfidf") & ~(table["shared_blocks"] > 0).fillna(False)]
    for column in ("train_tokens_per_s", "eval_tokens_per_s", "train_peak_bytes"):
        assert (trained[column] > 0).all(), column
    adapted = trained[trained["method"] != "head"]  # whose backbone keeps no activations
    assert (adapted["train_peak_bytes"] > adapted["eval_peak_bytes"]).all()
    assert (trained["attention"].str.contains("flash")).all()
    full, lora = (
        table[(table["method"] == m) & (table["kind"] == "probe")].iloc[0] for m in ("full", "lora")
    )
    # gradients and two moments of 22.6M parameters in float32, 12 bytes each
    more = full["train_peak_bytes"] - lora["train_peak_bytes"]
    assert 0.8 < more / (12 * full["total_params"]) < 1.6


def test_a_cell_says_how_it_was_run(smoke: Path) -> None:
    trained = [r for r in cells(smoke).values() if r["kind"] == "train"]
    result = next(r for r in trained if r["cell"]["method"] == "ssmlora")
    assert result["environment"]["torch"]
    assert result["environment"]["threads"] == 1
    assert result["model"]["dropout"] == "attention 0, hidden 0"
    assert result["cell"]["revisions"]["backbone"].startswith("sha256:53aa51172d14")
    assert [point["step"] for point in result["curve"]] == [2, 4]


def test_a_log_says_each_validation_when_it_was_made(smoke: Path) -> None:
    for result in cells(smoke).values():
        if result["kind"] == "train" and result["cell"]["method"] != "tfidf":
            log = (smoke / "logs" / f"{result['id']}.log").read_text().splitlines()
            said = [line for line in log if line.startswith("step ")]
            assert [line.split(":")[0] for line in said] == ["step 2 of 4", "step 4 of 4"]
            for line, point in zip(said, result["curve"], strict=True):
                assert f"validation_accuracy {point['validation_accuracy']:.5g}" in line


def test_the_second_run_finds_everything_done(smoke: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in (smoke / "cells").iterdir()}
    again = bench_long("run", SWEEPS / "smoke.yaml", "--out", smoke)
    assert again.returncode == 0, again.stderr
    assert before == {p.name: p.stat().st_mtime_ns for p in (smoke / "cells").iterdir()}
    assert f"all {len(before)} cells were done before: nothing to run" in again.stdout
    assert "report" in again.stdout


def test_the_report_is_one_file_and_pictures(smoke: Path) -> None:
    page = (smoke / "report" / "index.html").read_text()
    assert "SSMLoRA" in page
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=.(?!data:)", page)
    assert len(list((smoke / "report").glob("*.png"))) >= 5
    printed = (smoke / "stdout.txt").read_text()
    assert "report" in printed
    assert "index.html" in printed
    assert "of it was not training, evaluating or probing" in printed


@pytest.mark.slow
def test_the_same_sweep_gives_the_same_outcomes(tmp_path: Path, tiny: Path) -> None:
    """Cells in one process and in their own: nothing may depend on order or an earlier cell."""
    change = "methods=[{lora: {density: 0.5}}, {ssmlora: {density: 0.5, state_dropout: 0.5}}]"
    one, several = tmp_path / "one", tmp_path / "several"
    assert results_here(tiny, "--out", one, "--set", change) == 0
    done = bench_long("run", tiny, "--out", several, "--workers", 2, "--set", change)
    assert done.returncode == 0, done.stderr
    outcomes = [
        {n: (r["predictions"], r["scores"], r["curve"]) for n, r in cells(out).items()}
        for out in (one, several)
    ]
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) == 3
