"""Training throughput of a cell divided by that of a bare PyTorch loop on the same batches.

Run `python benchmarks/training_loop.py`. Both loops run in turns in one process. Prints the median
of the ratios of neighbouring turns. The goal is 0.95.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import harness.execution.preload  # noqa: F401  # as a cell's process has it: the libraries' objects frozen
from harness.core.cell import Cell
from harness.models.load import load_classifier
from harness.models.tokens import load_tokenizer
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep
from harness.system.machine import choose_dtype
from harness.training.batches import Encoded, encode, padded
from harness.training.loop import train
from harness.training.meter import MemoryMeter, Stopwatch
from harness.training.methods import adapt
from tasks import TaskMetadata, load_task

ROOT = Path(__file__).parent.parent


def bare(model: torch.nn.Module, cell: Cell, data: Encoded, pad_id: int) -> float:
    """Return the seconds of one epoch of a bare loop, with the order of examples of the cell."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-3, weight_decay=0.01, fused=True)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(cell.seed))
    batches = [inputs for _, inputs, _ in padded(data, order.tolist(), cell.batch_size, pad_id)]
    model.train()
    start = time.perf_counter()
    for inputs in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=cell.dtype == "bfloat16"):
            loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - start


def of_cell(
    model: torch.nn.Module,
    cell: Cell,
    data: Encoded,
    validation: Encoded,
    pad_id: int,
    metadata: TaskMetadata,
) -> float:
    """Return the seconds of the same epoch in the cell's loop, without validation."""
    watch = Stopwatch()
    start = time.perf_counter()
    train(model, cell, data, validation, pad_id, metadata, watch, MemoryMeter(cell.device))
    return time.perf_counter() - start - watch.seconds["eval"]


def main() -> None:
    """Print the ratio for each arm of the smoke sweep at one length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sweep = ROOT / "sweeps" / "smoke.yaml"
    changes = [f"lengths=[{options.length}]", f"train.examples={options.examples}", "probe=null"]
    plan = make_plan(load_sweep(sweep, changes), sweep)
    backbone = plan.backbone
    tokenizer = load_tokenizer(backbone)
    print(f"torch {torch.__version__}, {choose_dtype('auto', 'cpu')}, 1 thread, ", end="")
    print(f"{options.examples} texts of {options.length} tokens, batch {plan.cells[0].batch_size}")
    for cell in (c for c in plan.cells if c.lr is not None):
        task = load_task(cell.task or "")
        splits = task.splits(cell.length, cell.seed)
        data = encode(splits.train[: cell.examples], tokenizer, cell.length, task.metadata)
        validation = encode(splits.validation[:8], tokenizer, cell.length, task.metadata)
        torch.manual_seed(0)
        model = load_classifier(backbone, 4, cell.length, 0.0, tokenizer.pad_token_id)
        model = adapt(model, cell).model
        pad_id = tokenizer.pad_token_id
        bare(model, cell, data, pad_id)
        ratios = []
        for turn in range(options.pairs):
            seconds = {}
            for name in ("bare", "cell") if turn % 2 else ("cell", "bare"):
                if name == "bare":
                    seconds[name] = bare(model, cell, data, pad_id)
                else:
                    rest = (data, validation, pad_id, task.metadata)
                    seconds[name] = of_cell(model, cell, *rest)
            ratios.append(seconds["bare"] / seconds["cell"])
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        print(f"{cell.arm:<14} cell/bare throughput {middle:.3f} (min {low:.3f}, max {high:.3f})")


if __name__ == "__main__":
    main()
