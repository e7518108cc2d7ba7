"""Cells and cards of the later kinds: language modelling, generation, lm-eval; made up as well."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

from tests.reports.conftest import make_cell

N = 200
ARMS = {"LoRA 1": ("lora", 1.0), "SSMLoRA 1": ("ssmlora", 1.0), "Full": ("full", None)}
SHIFT = {"full": 0.0, "lora": 0.05, "ssmlora": 0.02, "base": 0.6}


def loss_cell(
    method: str = "lora", density: float | None = 1.0, length: int = 128, **more: Any
) -> dict[str, Any]:
    """A cell of language modelling. `loss` sets the score, `texts` the loss of each text."""
    texts = more.pop("texts", None)
    loss = more.pop("loss", None)
    status = more.pop("status", "ok")
    task = more.pop("task", "kernel")
    if method == "base":
        density, more["lr"] = None, None
    cell = make_cell(
        method, density, length, task=task, status=status, accuracy=None, data=None, **more
    )
    if method == "base":
        cell["arm"], cell["curve"] = "Base", []
        if cell["model"]:
            cell["model"] |= {"sites": None, "links": None, "trainable_params": 0}
    if status != "ok":
        return cell
    noise = random.Random(cell["id"])
    if texts is None:
        hard = random.Random(3)
        middle = 4.1 - 0.11 * math.log2(length) + SHIFT[method] if loss is None else loss
        texts = [middle + 0.4 * hard.gauss(0, 1) + 0.02 * noise.gauss(0, 1) for _ in range(200)]
        texts = [t + middle - sum(texts) / len(texts) for t in texts]
    value = sum(texts) / len(texts)
    spread = math.sqrt(sum((t - value) ** 2 for t in texts)) / len(texts)
    gain = 0.6 if method == "base" else 1.2  # what the context is worth
    ends = [16 * 2**k for k in range(20) if 16 * 2**k <= length]
    cell["scores"] = {
        "metric": "loss", "score": value, "score_low": max(0.0, value - 1.96 * spread),
        "score_high": value + 1.96 * spread, "perplexity": math.exp(value),
        "validation_score": value + 0.03, "validation_loss": value + 0.03,
        "test_examples": len(texts),
        "by_position": [
            {"start": end // 2 if end > 16 else 0, "end": end, "tokens": 8000,
             "loss": value + gain * (1 / (1 + k) - 0.25) + 0.02 * noise.random()}
            for k, end in enumerate(ends)
        ],
    }  # fmt: skip
    cell["predictions"] = {
        "ids": [f"t{i}" for i in range(len(texts))], "labels": None, "predicted": None,
        "scores": texts,
    }  # fmt: skip
    for k, point in enumerate(cell["curve"]):
        point["validation_score"] = point["validation_loss"] = value + 0.03 + 0.5 * 0.4**k
    return cell


def loss_cells() -> list[dict[str, Any]]:
    """Three arms and the untrained backbone at three lengths, and one failure."""
    cells = []
    for length in (128, 256, 512):
        for method, density in (("full", None), ("lora", 1.0), ("ssmlora", 1.0), ("base", None)):
            status = "oom" if (method, length) == ("full", 512) else "ok"
            cells.append(loss_cell(method, density, length, status=status))
        cells += [loss_cell("ssmlora", 0.5, length), loss_cell("lora", 0.5, length)]
    return cells


def loss_study() -> list[dict[str, Any]]:
    """Four learning rates, two seeds, no test text; one cell diverged."""
    cells = []
    for k, lr in enumerate((5e-4, 1e-3, 2e-3, 4e-3)):
        for method, seed in ((m, s) for m in ("lora", "ssmlora") for s in (0, 1)):
            failed = k == 3 and seed
            cell = make_cell(
                method, lr=lr, seed=seed, task="kernel", accuracy=None,
                status="diverged" if failed else "ok",
            )  # fmt: skip
            if not failed:
                loss = 3.5 + 0.1 * (k - 1.6) ** 2 + 0.02 * seed
                cell["scores"] = {
                    "metric": "loss",
                    "validation_score": loss,
                    "validation_loss": loss,
                }
            cells.append(cell)
    return cells


def text_cell(
    method: str = "lora", length: int = 128, metric: str = "rouge_l", **more: Any
) -> dict[str, Any]:
    """A cell of generation, with the score of each text."""
    texts = more.pop("texts", None)
    cell = make_cell(method, 1.0, length, task=more.pop("task", "stories"), accuracy=None, **more)
    if method == "base":
        cell["arm"], cell["curve"], cell["cell"]["lr"] = "Base", [], None
        cell["model"] |= {"sites": None, "links": None, "trainable_params": 0}
    noise, hard = random.Random(cell["id"]), random.Random(5)
    top = {"base": 0.1, "lora": 0.45, "ssmlora": 0.47, "full": 0.5}[method] + 0.03 * math.log2(
        length / 64
    )
    if texts is None:
        texts = [
            min(1.0, max(0.0, top + 0.2 * hard.gauss(0, 1) + 0.05 * noise.gauss(0, 1)))
            for _ in range(150)
        ]
    value = sum(texts) / len(texts)
    cell["scores"] = {
        "metric": metric, "score": value, "score_low": max(0.0, value - 0.03),
        "score_high": min(1.0, value + 0.03),
        "secondary": {"rouge_l": value, "exact_match": value / 2},
        "validation_score": value, "validation_loss": 1.1, "test_examples": len(texts),
    }  # fmt: skip
    cell["predictions"] = {
        "ids": [f"t{i}" for i in range(len(texts))], "labels": ["the mill"] * len(texts),
        "predicted": ["a mill"] * len(texts), "scores": texts,
    }  # fmt: skip
    return cell


def evaluation(
    task: str = "niah_single_1", value: float | None = 0.5, **more: Any
) -> dict[str, Any]:
    """One task of lm-eval on a cell's model."""
    return {
        "task": task, "metric": "exact match", "value": value,
        "stderr": None if value is None else 0.05, "examples": 100, "higher_is_better": True,
        "status": "ok", "message": "", "seconds": 12.3,
        "version": "lm-eval 0.4.13, task version 1.0",
    } | more  # fmt: skip


def evaluated_cell(
    length: int = 128, found: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    """The untrained backbone with tasks of lm-eval and no score of its own."""
    cell = make_cell(
        "base", None, length, task="lm_eval", lr=None, arm="Base", accuracy=None, data=None, **more
    )
    cell["scores"], cell["curve"] = None, []
    cell["evaluations"] = [evaluation()] if found is None else found
    if cell["model"]:
        cell["model"] |= {"sites": None, "links": None, "trainable_params": 0}
    return cell


def evaluation_cells() -> list[dict[str, Any]]:
    """Two tasks at three lengths on the untrained backbone; one task runs out of time."""
    cells = []
    for k, length in enumerate((128, 256, 512)):
        late = {"status": "timeout", "message": "no answer within 300 s", "value": None}
        second = late if length == 512 else {"value": 0.31}
        found = [
            evaluation(value=0.92 - 0.17 * k, stderr=0.03),
            evaluation("ruler_vt", **second),
        ]
        cells.append(evaluated_cell(length, found))
    return cells


def card(name: str = "newsgroups", **changes: Any) -> dict[str, Any]:
    """A task card as the runner writes it."""
    return {
        "name": name, "title": "20 Newsgroups, four topics",
        "description": "Which of four topics a Usenet post is about; headers are cut away.",
        "family": "classification", "metric": "accuracy",
        "source": "the 20 Newsgroups corpus, by date", "revision": "1.16",
        "licence": "public posts", "citation": "Lang, NewsWeeder, 1995",
        "example": {"text": "i saw the game … <b>cheers", "answer": "rec"},
        "examples": {"train": 7000, "validation": 700, "test": 1500},
        "counted": {"train": 5000, "validation": 700, "test": 1500},
        "labels": {
            "train": {"comp": 1300, "rec": 1250, "sci": 1250, "talk": 1200},
            "validation": {"comp": 180, "rec": 180, "sci": 170, "talk": 170},
            "test": {"comp": 400, "rec": 380, "sci": 370, "talk": 350},
        },
        "tokens": {"min": 310, "p10": 400, "median": 620, "p90": 2100, "max": 20_000},
        "rows": [
            {"length": 128, "truncated": 1.0, "majority": 0.267, "tfidf": 0.712},
            {"length": 512, "truncated": 0.65, "majority": 0.267, "tfidf": 0.846},
        ],
    } | changes  # fmt: skip


def loss_card() -> dict[str, Any]:
    """The card of a language modelling task: no labels, baselines in nats, with other names."""
    return card(
        "kernel", title="Linux, next token", family="language_modelling", metric="loss",
        description="Predict the next token of C files.", labels={}, counted={},
        baselines=["unigram", "bigram"],
        rows=[
            {"length": 128, "truncated": 1.0, "majority": 7.2, "tfidf": 5.1},
            {"length": 512, "truncated": 0.9, "majority": 7.1, "tfidf": 5.0},
        ],
    )  # fmt: skip


def arm(name: str, rights: dict[int, int | str], length: int = 128, n: int = N) -> list[Any]:
    """Cells of an arm: for each seed how many texts are right, or how the cell failed."""
    method, density = ARMS[name]
    return [
        make_cell(method, density, length, seed=seed, status=found)
        if isinstance(found, str)
        else make_cell(
            method, density, length, seed=seed, accuracy=found / n,
            correct=[i < found for i in range(n)],
        )
        for seed, found in rights.items()
    ]  # fmt: skip


def further_cells(seeds: tuple[int, ...] = (0, 1, 2)) -> list[dict[str, Any]]:
    """Four arms tested at other lengths and by the position of the evidence; some tests failed."""
    cells = []
    for seed, length, (method, density) in itertools.product(
        seeds, (128, 512), (("full", None), ("lora", 1.0), ("ssmlora", 0.5), ("tfidf", None))
    ):
        cell = make_cell(method, density, length, seed=seed, accuracy=0.6, task="needle")
        score = 0.6 + 0.01 * seed
        cell["evaluations"] = [
            {"kind": "position", "task": "needle", "metric": "accuracy", "value": score + 0.1 * k,
             "low": score + 0.1 * k - 0.08, "high": score + 0.1 * k + 0.05, "examples": 125,
             "position": length * (2 * k + 1) // 8, "status": "ok"}
            for k in range(4)
        ]  # fmt: skip
        for tested in {128, 512, 2048} - {length} if method != "tfidf" else ():
            fine = method != "full" or tested < 2048
            cell["evaluations"].append(
                {"kind": "length", "task": "needle", "metric": "accuracy", "length": tested,
                 "value": score - tested / 2**13 if fine else None, "low": 0.3, "high": 0.7,
                 "examples": 500, "status": "ok" if fine else "oom"}
            )  # fmt: skip
        cells.append(cell)
    return cells


def forgetting(scores: list[float], **more: Any) -> dict[str, Any]:
    """The loss on unrelated text."""
    return {
        "kind": "forgetting", "task": "pysource_lm", "metric": "loss", "status": "ok",
        "value": sum(scores) / len(scores), "scores": scores, "examples": len(scores),
        "higher_is_better": False,
    } | more  # fmt: skip
