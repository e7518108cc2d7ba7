"""Compares initialisations of SSMLoRA: gradient norms by matrix, accuracy and loss.

Trains all-MiniLM-L6-v2 on newsgroup texts (the settings of the laptop sweep) with each
initialisation, at several learning rates and seeds. Prints two tables: gradient norms of the four
matrices at the first steps with the change of W_c and W_d, and validation accuracy and loss.

    python benchmarks/gradient_norms.py                  # the tables in ssmlora/README.md
    python benchmarks/gradient_norms.py --dtype float32 --rates 1e-3 --seeds 0
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from harness.models.backbones import find_backbone
from harness.models.load import load_classifier
from harness.models.tokens import load_tokenizer
from harness.training.batches import Encoded, encode, padded
from ssmlora import SSMLoraConfig, candidate_sites, select_sites
from tasks import load_task

STEPS = (1, 2, 3, 5, 10, 20, 48)
MATRICES = ("A", "B", "C", "D")
ARMS: dict[str, dict[str, Any]] = {
    "paper": {"init": "paper"},
    "paper, epsilon 1e-2": {"init": "paper", "epsilon": 1e-2},
    "small_random": {"init": "small_random"},
    "small_random, epsilon 1e-2": {"init": "small_random", "epsilon": 1e-2},
    "lora_scale": {"init": "lora_scale"},
    "lora_scale, no link": {"init": "lora_scale", "link_state": False},
    "LoRA": {},
}


def main() -> None:
    """Run the selected arms, append a JSON line for each, print the tables at the end."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--rates", nargs="+", type=float, default=[5e-4, 2e-3, 5e-3])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--density", type=float, default=0.5)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--out", type=Path, help="append one JSON line per run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for seed in options.seeds:
        for rate in options.rates:
            for arm in options.arms:
                row = run(arm, rate, seed, options)
                rows.append(row)
                print(json.dumps({k: v for k, v in row.items() if k != "norms"}), flush=True)
                if options.out:
                    with options.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    print(tables(rows))


def run(arm: str, rate: float, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one epoch: batch size 8, AdamW, clipping at 1, warm-up and linear decay."""
    torch.manual_seed(seed)
    backbone = find_backbone("minilm")
    tokenizer = load_tokenizer(backbone)
    pad = int(tokenizer.pad_token_id)
    task = load_task("newsgroups")
    splits = task.splits(options.length, seed)
    data = encode(splits.train[: options.texts], tokenizer, options.length, task.metadata)
    validation = encode(splits.validation[:200], tokenizer, options.length, task.metadata)
    labels = len(task.metadata.labels)
    model = adapted(arm, load_classifier(backbone, labels, options.length, 0.0, pad), options)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=rate, weight_decay=0.01)
    total = math.ceil(len(data) / 8)
    rise = max(1, round(total * 0.1))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / rise, max(0.0, (total - step) / (total - rise)))
    )
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed)).tolist()
    began, norms, losses = time.perf_counter(), {}, []
    model.train()
    for step, (_, inputs, _) in enumerate(padded(data, order, 8, pad), 1):
        with torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bfloat16"):
            loss = model(**inputs).loss
        loss.backward()
        if step in STEPS:
            norms[step] = {matrix: gradient_norm(model, matrix) for matrix in MATRICES}
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(float(loss.detach()))
    accuracy, validation_loss = evaluate(model, validation, pad, options.dtype)
    return {
        "arm": arm,
        "rate": rate,
        "seed": seed,
        "dtype": options.dtype,
        "accuracy": accuracy,
        "validation_loss": validation_loss,
        "train_loss_last_16": sum(losses[-16:]) / len(losses[-16:]),
        "norms": norms,
        **{f"{m}_moved": moved(model, start, m) for m in ("C", "D")},
        "seconds": time.perf_counter() - began,
    }


def adapted(arm: str, model: Any, options: argparse.Namespace) -> Any:
    """Return the model with the adapters of an arm; all arms have the same sites."""
    sites = [site.name for site in select_sites(candidate_sites(model), options.density)]
    common: dict[str, Any] = {"r": 8, "lora_alpha": 16, "modules_to_save": ["classifier"]}
    if arm == "LoRA":
        return get_peft_model(model, LoraConfig(target_modules=sites, **common))
    return get_peft_model(model, SSMLoraConfig(placement=sites, **ARMS[arm], **common))


def gradient_norm(model: Any, matrix: str) -> float:
    """Return the gradient norm of one kind of matrix over all layers, before clipping."""
    squares = [
        float(p.grad.double().square().sum())
        for name, p in model.named_parameters()
        if f"lora_{matrix}." in name and p.grad is not None
    ]
    return math.sqrt(sum(squares))


def moved(model: Any, start: dict[str, torch.Tensor], matrix: str) -> float:
    """Return the root mean square change of an entry since the start."""
    changes = [
        (p.detach() - start[name]).flatten()
        for name, p in model.named_parameters()
        if f"ssmlora_{matrix}." in name
    ]
    return float(torch.cat(changes).square().mean().sqrt()) if changes else 0.0


def evaluate(model: Any, data: Encoded, pad: int, dtype: str) -> tuple[float, float]:
    """Return accuracy and mean loss on the validation texts."""
    model.eval()
    right, loss = 0, 0.0
    order = sorted(range(len(data)), key=lambda i: len(data.ids[i]))
    with torch.inference_mode():
        for chosen, inputs, _ in padded(data, order, 8, pad):
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
                output = model(**inputs)
            right += int((output.logits.argmax(-1) == inputs["labels"]).sum())
            loss += float(output.loss) * len(chosen)
    return right / len(order), loss / len(order)


def tables(rows: list[dict[str, Any]]) -> str:
    """Return both tables in Markdown; gradient norms are of seed 0 at the middle learning rate."""
    rates = sorted({row["rate"] for row in rows})
    middle, seed = rates[len(rates) // 2], rows[0]["seed"]
    shown = [row for row in rows if row["rate"] == middle and row["seed"] == seed]
    lines = [
        f"Gradient norms before clipping, learning rate {middle:g}:",
        "",
        "| initialisation | matrix | " + " | ".join(f"step {s}" for s in STEPS) + " | moved |",
        "| --- | --- |" + " --- |" * (len(STEPS) + 1),
    ]
    for row in shown:
        for matrix in MATRICES[: 2 if row["arm"] == "LoRA" else 4]:
            norms = [row["norms"].get(s, row["norms"].get(str(s), {})).get(matrix) for s in STEPS]
            cells = ["" if n is None else f"{n:.2g}" for n in norms]
            far = f"{row[f'{matrix}_moved']:.3f}" if matrix in "CD" else ""
            lines.append(f"| {row['arm']} | {matrix} | " + " | ".join(cells) + f" | {far} |")
    lines += [
        "",
        "Validation accuracy (loss), mean over the seeds:",
        "",
        "| initialisation | " + " | ".join(f"{r:g}" for r in rates) + " |",
        "| --- |" + " --- |" * len(rates),
    ]
    for arm in dict.fromkeys(row["arm"] for row in rows):
        cells = []
        for rate in rates:
            runs = [row for row in rows if row["arm"] == arm and row["rate"] == rate]
            mean = {
                key: sum(r[key] for r in runs) / max(1, len(runs))
                for key in ("accuracy", "validation_loss")
            }
            cells.append(f"{mean['accuracy']:.3f} ({mean['validation_loss']:.3f})")
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
