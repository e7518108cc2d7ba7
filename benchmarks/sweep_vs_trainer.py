"""Wall and CPU time of a sweep, by bench-long and by one Hugging Face Trainer script per cell.

Run `python benchmarks/sweep_vs_trainer.py`. Both sides run the same cells in turns: the same texts,
order, steps, validations and test. Each Trainer script is a process of its own that imports,
loads, tokenises, trains and evaluates; they run one after the other. bench-long also trains the
TF-IDF baseline and writes its report. Scores of both sides are compared. On a machine with other
load use `--workers 1 --threads 1` and read the CPU time: threads of one process that wait for each
other cost CPU time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent

SWEEP = """\
name: factor
backbone: minilm
tasks: [newsgroups]
lengths: [{length}]
dtype: float32
methods:
  - lora: {{density: 1, rank: 8}}
  - lora: {{density: {densities}, rank: 8, placement: alternate}}
  - lora: {{density: {densities}, rank: 8, placement: first}}
  - lora: {{density: {densities}, rank: 8, placement: last}}
seeds: {seeds}
train:
  {{examples: {train}, epochs: 1, batch_size: 8, validation_examples: {validation},
   validations: 3, test_examples: {test}, lr: 2.0e-3, head_lr: 1.0e-2}}
"""
"""A study of density and placement; the control is added by the planner."""


def run_script(cell_file: Path, texts_file: Path) -> None:
    """Run one cell with the Trainer, as a script for this cell would. Prints its test accuracy."""
    import torch
    from transformers import (
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )
    from transformers.modeling_outputs import SequenceClassifierOutput

    from harness.core.cell import Cell
    from harness.models.backbones import find_backbone
    from harness.models.load import load_classifier
    from harness.training.methods import adapt

    cell = Cell.model_validate_json(cell_file.read_text())
    assert cell.epochs
    assert cell.lr
    assert cell.examples
    assert cell.validations
    torch.manual_seed(cell.seed)
    backbone = find_backbone(cell.backbone)
    tokenizer = AutoTokenizer.from_pretrained(backbone.folder)
    splits = json.loads(texts_file.read_text())

    def encoded(part: list[Any]) -> list[dict[str, Any]]:
        texts, labels = zip(*part, strict=True)
        ids = tokenizer(list(texts), truncation=True, max_length=cell.length)["input_ids"]
        return [{"input_ids": i, "labels": k} for i, k in zip(ids, labels, strict=True)]

    training, validation, test = (encoded(part) for part in splits["splits"])
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(cell.seed))
    model: Any = load_classifier(
        backbone, splits["labels"], cell.length, cell.dropout, tokenizer.pad_token_id
    )
    model = adapt(model, cell).model
    model.register_forward_hook(
        lambda _, __, answer: SequenceClassifierOutput(loss=answer.loss, logits=answer.logits)
    )
    total = math.ceil(len(training) / cell.batch_size)
    rise = max(1, round(total * cell.warmup))
    is_head = {True: cell.head_lr or cell.lr, False: cell.lr}
    groups = [
        {
            "params": [
                p
                for name, p in model.named_parameters()
                if p.requires_grad and ("classifier" in name) == head
            ],
            "lr": lr,
        }
        for head, lr in is_head.items()
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min((k + 1) / rise, max(0.0, (total - k) / max(1, total - rise)))
    )
    stops = {math.ceil(total * k / cell.validations) for k in range(1, cell.validations + 1)}

    class Validate(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_evaluate = state.global_step in stops

    class InOrder(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> list[int]:
            found: list[int] = order.tolist()
            return found

    with tempfile.TemporaryDirectory() as folder:
        trainer = InOrder(
            model=model,
            args=TrainingArguments(
                output_dir=folder, per_device_train_batch_size=cell.batch_size,
                per_device_eval_batch_size=cell.batch_size, num_train_epochs=cell.epochs,
                max_grad_norm=cell.clip, seed=cell.seed, save_strategy="no", report_to="none",
                use_cpu=True, disable_tqdm=True, logging_strategy="no", label_names=["labels"],
                remove_unused_columns=False,
            ),
            train_dataset=training, eval_dataset=validation,
            data_collator=DataCollatorWithPadding(tokenizer),
            optimizers=(optimizer, schedule), callbacks=[Validate()],
        )  # fmt: skip
        trainer.train()
        predicted = trainer.predict(test)
    logits = predicted.predictions
    right = sum(int(row.argmax()) == k for row, k in zip(logits, predicted.label_ids, strict=True))
    print(json.dumps({"accuracy": right / len(test)}))


class Times:
    """Seconds of child processes."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def run(self, call: list[Any], environment: dict[str, str]) -> str:
        """Run a command to its end and return what it prints."""
        start, before = time.perf_counter(), _children()
        done = subprocess.run(
            [*map(str, call)], capture_output=True, text=True, cwd=ROOT, env=environment
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        self.wall.append(time.perf_counter() - start)
        self.cpu.append(_children() - before)
        return done.stdout


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def prepare(sweep: Path, folder: Path) -> list[tuple[str, Path, Path]]:
    """Write cells and texts for the scripts; return the arm and both files of each cell."""
    from harness.core.methods import TFIDF
    from harness.planning.plan import make_plan
    from harness.planning.sweep import load_sweep
    from tasks import load_task

    found = []
    for cell in make_plan(load_sweep(sweep), sweep).cells:
        if cell.kind != "train" or cell.method == TFIDF:
            continue
        task = load_task(cell.task or "")
        sizes = (cell.examples, cell.validation_examples, cell.test_examples)
        splits = task.splits(cell.length, cell.seed)
        parts = [
            [(e.text, e.label) for e in part[:size]]
            for part, size in zip(splits, sizes, strict=True)
        ]
        files = folder / f"{cell.id}.json", folder / f"{cell.id}-texts.json"
        files[0].write_text(cell.model_dump_json())
        files[1].write_text(json.dumps({"splits": parts, "labels": len(task.metadata.labels)}))
        found.append((f"{cell.arm}, seed {cell.seed}", *files))
    return found


def main() -> None:
    """Print the factors of each turn and the scores of both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--train", type=int, default=512)
    parser.add_argument("--validation", type=int, default=75)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--densities", default="[0.5, 0.25]", help="of each placement")
    parser.add_argument("--seeds", default="[0]")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--workers", type=int, help="cells at a time (default: one per core)")
    parser.add_argument("--threads", type=int, help="threads of a script (default: all cores)")
    parser.add_argument("--script", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.script:
        return run_script(*options.script)
    plain = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    plain.pop("OMP_NUM_THREADS", None)
    limited = plain | ({"OMP_NUM_THREADS": str(options.threads)} if options.threads else {})
    workers = ["--workers", options.workers] if options.workers else []
    ours, scripts = Times(), Times()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sweep = folder / "sweep.yaml"
        sweep.write_text(SWEEP.format(**vars(options)))
        cells = prepare(sweep, folder)
        theirs: dict[str, float] = {}
        for turn in range(options.turns):
            out = folder / f"run-{turn}"
            call = [sys.executable, "-m", "harness", "run", sweep, "--out", out, *workers]
            ours.run(call, plain)
            before = len(scripts.wall)
            for arm, cell, texts in cells:
                call = [sys.executable, __file__, "--script", cell, texts]
                printed = scripts.run(call, limited).splitlines()[-1]
                theirs[arm] = json.loads(printed)["accuracy"]
            for seconds in (scripts.wall, scripts.cpu):
                seconds[before:] = [sum(seconds[before:])]
            for side, times in (("bench-long", ours), ("Trainer", scripts)):
                wall, cpu = times.wall[-1], times.cpu[-1]
                print(f"turn {turn + 1}: {side} {wall:.0f} s wall, {cpu:.0f} s CPU", flush=True)
        for arm, cell, _ in cells:
            result = json.loads((out / "cells" / cell.name).read_text())
            shared, mine = result["model"]["shared_blocks"], result["scores"]["accuracy"]
            print(f"{arm:<24} {shared} shared blocks: {mine:.3f}, Trainer {theirs[arm]:.3f}")
    for name, one, other in (("wall", scripts.wall, ours.wall), ("CPU", scripts.cpu, ours.cpu)):
        factors = [a / b for a, b in zip(one, other, strict=True)]
        print(f"{name} time: {median(factors):.2f} times ({len(factors)} turns)")


if __name__ == "__main__":
    main()
