"""Builds run folders of made-up results from the classes that the runner writes them with."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from harness.core.cell import Cell
from harness.core.folder import Manifest, RunTime
from harness.core.result import (
    CellResult,
    Cost,
    CurvePoint,
    DataInfo,
    ErrorInfo,
    ModelInfo,
    Predictions,
    Scores,
    Seconds,
)
from reports.frame import Result
from tests.reports.faces import load_run

LINKS = {1.0: 10, 0.5: 4, 0.25: 1, 0.125: 0}
ARMS = (("full", None), ("lora", 1.0), ("lora", 0.5), *(("ssmlora", d) for d in (1.0, 0.5, 0.25)))
TOTAL = 22_714_756
MACHINE = {
    "python": "3.11.9", "torch": "2.13.0", "transformers": "5.24.0", "peft": "0.21.2",
    "platform": "Linux", "cpu": "AMD EPYC", "cores": 2, "memory_gib": 24.0,
    "commit": "0123456789ab",
}  # fmt: skip


def wilson(accuracy: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval, as the runner writes it."""
    z2 = 1.96**2
    middle = (accuracy + z2 / 2 / n) / (1 + z2 / n)
    half = 1.96 / (1 + z2 / n) * math.sqrt(accuracy * (1 - accuracy) / n + z2 / 4 / n**2)
    return max(0.0, middle - half), min(1.0, middle + half)


def make_cell(
    method: str = "lora",
    density: float | None = 1.0,
    length: int = 128,
    *,
    kind: str = "train",
    seed: int = 0,
    lr: float | None = 2e-3,
    status: str = "ok",
    task: str | None = "newsgroups",
    accuracy: float | None = 0.8,
    test_examples: int = 500,
    correct: Iterable[bool] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """One cell file's content. `changes` replace top-level keys, or merge into sections."""
    probe, baseline = kind == "probe", method == "tfidf"
    if method in ("full", "tfidf"):
        density = None
    settings = Cell(
        kind="probe" if probe else "train", task=None if probe else task, backbone="minilm",
        method=method, density=density, placement=None if density is None else "alternate",
        rank=None if density is None else 8, length=length, seed=seed,
        lr=None if baseline else lr, batch_size=2 if probe else 8,
        examples=None if probe else 512, validation_examples=None if probe else 100,
        test_examples=None if probe else test_examples if accuracy is not None else 0,
        epochs=None if probe else 1, steps=5 if probe else None, dtype="bfloat16", device="cpu",
    )  # fmt: skip
    result = CellResult.begun(settings, MACHINE)
    key = repr((method, density, length, kind, seed, lr, task, settings.arm))
    result.id = hashlib.sha256(key.encode()).hexdigest()[:12]
    share = density or 0.0
    trainable = TOTAL if method == "full" else 1_540 + round((73_728 + 600) * share)
    noise = random.Random(result.id)
    if not baseline:
        result.model = ModelInfo(
            sites=None if density is None else round(12 * density),
            links=(LINKS[density] if method == "ssmlora" else 0) if density else None,
            trainable_params=trainable,
            total_params=TOTAL if method == "full" else TOTAL + trainable,
            attention="scaled_dot_product_flash_attention_for_cpu",
            dropout="attention 0, hidden 0.1", dtype="bfloat16 autocast", device="cpu",
        )  # fmt: skip
        result.cost = Cost(base_bytes=520 * 2**20)
    if not probe:
        result.data = DataInfo(truncated=0.7, tokens_median=length, task_revision="1.16")
    result.seconds = Seconds(load=0.4, data=0.9, train=30.0, eval=6.0, probe=0.0, wall=38.0)
    if status == "ok":
        result.status = "ok"
        if not baseline:
            step = 1.4 if method == "full" else 1.0 + 0.03 * share * (method == "ssmlora")
            result.cost = _cost(2600 / step / (1 + length / 1500), length, method, noise)
        if not probe:
            result.scores = Scores(
                validation_score=0.79, validation_accuracy=0.79, validation_loss=0.6,
                metric="accuracy",
            )  # fmt: skip
        if not probe and accuracy is not None:
            right = list(correct) if correct is not None else _right(accuracy, test_examples, noise)
            value = sum(right) / len(right)
            low, high = wilson(value, len(right))
            result.scores = Scores(
                metric="accuracy", score=value, score_low=low, score_high=high, accuracy=value,
                accuracy_low=low, accuracy_high=high,
                secondary={"macro_f1": max(0.0, value - 0.01)}, majority=0.31,
                test_examples=len(right), validation_score=0.79, validation_accuracy=0.79,
                validation_loss=0.6,
            )  # fmt: skip
            result.predictions = Predictions(
                ids=[f"t{i}" for i in range(len(right))],
                labels=[1] * len(right),
                predicted=[int(r) for r in right],
            )
        if not probe and not baseline:
            top = accuracy or 0.79
            result.curve = [
                CurvePoint(
                    step=s, examples=8 * s, train_loss=1.2 / s, validation_loss=0.9,
                    validation_score=top - 0.4 * 0.5**k - 0.02 * noise.random(),
                )
                for k, s in enumerate((22, 43, 64))
            ]  # fmt: skip
    else:
        result.status = status  # type: ignore[assignment]
        kind_of = {"oom": "OutOfMemory", "timeout": "TimeLimit"}.get(status, "Diverged")
        result.error = ErrorInfo(
            type=kind_of, message=f"the cell ended with {status}", log=f"logs/{result.id}.log"
        )
    data: dict[str, Any] = result.model_dump(mode="json")
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(data.get(key), dict):
            data[key] |= value
        else:
            data[key] = value
    return data


def set_validation(cell: dict[str, Any], value: float, loss: float | None = None) -> None:
    """Give a cell that ended well this score on the validation split; by default its loss too."""
    cell["scores"] |= {
        "validation_score": value,
        "validation_accuracy": value,
        "validation_loss": 1.4 - value if loss is None else loss,
    }


def _cost(rate: float, length: int, method: str, noise: random.Random) -> Cost:
    peak = (900 + 1.15 * length + (280 if method == "full" else 0)) * 2**20
    return Cost(
        base_bytes=520 * 2**20,
        train_tokens_per_s=rate,
        train_tokens_per_s_low=rate * (0.95 - 0.02 * noise.random()),
        train_tokens_per_s_high=rate * (1.03 + 0.02 * noise.random()),
        eval_tokens_per_s=3.1 * rate,
        eval_tokens_per_s_low=2.95 * rate,
        eval_tokens_per_s_high=3.2 * rate,
        train_peak_bytes=int(peak * (1 + 0.01 * noise.random())),
        eval_peak_bytes=int((640 + 0.12 * length) * 2**20),
    )


def _right(accuracy: float, n: int, noise: random.Random) -> list[bool]:
    """Texts differ in difficulty, so that arms and lengths agree on most of them."""
    hard = random.Random(7)
    marks = [hard.random() + 0.12 * noise.gauss(0, 1) for _ in range(n)]
    limit = sorted(marks)[min(n - 1, round(accuracy * n))]
    return [mark < limit for mark in marks]


def write_run(
    folder: Path,
    cells: Iterable[dict[str, Any]],
    *,
    name: str = "made-up",
    missing: int = 0,
    **manifest: Any,
) -> Path:
    """A run folder with these cells; `missing` more are in the manifest without a result."""
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    cells = list(cells)
    for cell in cells:
        (folder / "cells" / f"{cell['id']}.json").write_text(json.dumps(cell), encoding="utf-8")
        if cell["status"] != "ok":
            (folder / "logs" / f"{cell['id']}.log").write_text("Traceback\n", encoding="utf-8")
    ids = [cell["id"] for cell in cells] + [f"missing{i:05d}" for i in range(missing)]
    run = RunTime(cells=len(cells), wall_s=1400.0, busy_s=2629.2, workers=2)
    about = Manifest(name=name, ids=ids, runs=[run], finished=not missing).model_dump(mode="json")
    (folder / "manifest.json").write_text(json.dumps(about | manifest), encoding="utf-8")
    (folder / "sweep.yaml").write_text(f"name: {name}\nbackbone: minilm\n", encoding="utf-8")
    return folder


def laptop_cells(seeds: int = 1) -> list[dict[str, Any]]:
    """Like sweeps/laptop.yaml: six arms, the baseline, probes, and a failure of each kind."""
    gain = {64: 0.80, 128: 0.87, 256: 0.905, 512: 0.91}
    shift = {"full": 0.005, "lora": 0.0, "ssmlora": -0.004, "tfidf": -0.1}
    cells = []
    for length, top in gain.items():
        for seed in range(seeds):
            for method, density in (*ARMS, ("tfidf", None)):
                sparse = 0.012 * -math.log2(density or 1)
                value = top + shift[method] - sparse + 0.01 * random.Random(seed).gauss(0, 1)
                failed = {("ssmlora", 0.25, 512): "timeout", ("full", None, 512): "diverged"}
                status = failed.get((method, density, length), "ok")
                cells.append(
                    make_cell(method, density, length, seed=seed, accuracy=value, status=status)
                )
    for length in (64, 128, 256, 512, 1024, 2048):
        for method, density in ARMS:
            status = "oom" if length == 2048 and method == "full" else "ok"
            cells.append(make_cell(method, density, length, kind="probe", lr=1e-4, status=status))
    return cells


def tuning_cells(seeds: int = 2) -> list[dict[str, Any]]:
    """Like sweeps/tune.yaml: five learning rates an arm, no test accuracy."""
    cells = []
    for method, density in ARMS:
        rates = (
            [5e-5, 1e-4, 2e-4, 4e-4, 8e-4] if method == "full" else [5e-4, 1e-3, 2e-3, 4e-3, 8e-3]
        )
        for k, lr in enumerate(rates):
            for seed in range(seeds):
                status = "diverged" if k == 4 and method == "full" and seed == 1 else "ok"
                cell = make_cell(method, density, lr=lr, seed=seed, accuracy=None, status=status)
                if status == "ok":
                    top = 0.88 - 0.02 * (k - 2.6) ** 2 + 0.01 * seed
                    set_validation(cell, top)
                cells.append(cell)
    return cells


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with failures; treat it as read-only."""
    return write_run(tmp_path_factory.mktemp("runs") / "laptop", laptop_cells(), name="laptop")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., list[Result]]:
    """Write cells into a run folder and read them back: the way every result comes."""
    counter = itertools.count()

    def read(cells: Iterable[dict[str, Any]]) -> list[Result]:
        return load_run(write_run(tmp_path / f"run{next(counter)}", cells)).results

    return read


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Result]]:
    """A run like the laptop's, one with three seeds, a study of learning rates."""
    root = tmp_path_factory.mktemp("figures")
    from tests.reports.made import evaluation_cells, further_cells, loss_cells, loss_study

    runs = {"laptop": laptop_cells(), "seeds": laptop_cells(3), "tune": tuning_cells()}
    runs |= {"losses": loss_cells(), "evaluations": evaluation_cells(), "study": loss_study()}
    runs["further"] = further_cells()
    found = {name: load_run(write_run(root / name, cells)).results for name, cells in runs.items()}
    for kind in ("train", "probe"):
        found[kind] = [r for r in found["laptop"] if r["kind"] == kind]
    return found
