"""The example of the README, run as a user runs it; and the Trainer's checkpoints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import Trainer, TrainingArguments

from tests.ssmlora.tiny import adapted, bert, distance, tokens

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_example_trains_saves_and_reloads(tmp_path: Path) -> None:
    words = ["--texts", "24", "--test-texts", "16", "--tokens", "32", "--out", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "finetune_minilm.py"), *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = re.search(r"on 16 test texts: (\S+) trained, (\S+) reloaded", run.stdout)
    assert found, run.stdout
    assert found[1] == found[2]
    weights = load_file(tmp_path / "adapter_model.safetensors")
    assert sum("ssmlora_D" in name for name in weights) == 6
    assert all(weights[name].any() for name in weights if "ssmlora_B" in name)


def test_the_trainer_resumes_and_takes_the_best(tmp_path: Path) -> None:
    """Both read a checkpoint into an adapter that is in the model already."""
    data = [{"input_ids": row, "labels": i % 3} for i, row in enumerate(tokens(6, 5))]

    def trainer(epochs: int, folder: Path) -> Any:
        torch.manual_seed(3)
        model = adapted(bert().float(), fill=False, modules_to_save=["classifier"]).float()
        settings = TrainingArguments(
            str(folder),
            num_train_epochs=epochs,
            per_device_train_batch_size=3,
            learning_rate=0.05,
            lr_scheduler_type="constant",
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        return Trainer(model, settings, train_dataset=data, eval_dataset=data)

    whole = trainer(3, tmp_path / "whole")
    whole.train()
    best = Path(whole.state.best_model_checkpoint)
    loaded = PeftModel.from_pretrained(bert().float(), best).eval()
    ids = tokens(6, 5)
    with torch.no_grad():
        logits = whole.model.eval()(input_ids=ids).logits
        assert distance(loaded(input_ids=ids).logits, logits) == 0.0
    trainer(1, tmp_path / "parts").train()
    resumed = trainer(3, tmp_path / "parts")
    resumed.train(resume_from_checkpoint=True)
    with torch.no_grad():
        assert distance(resumed.model.eval()(input_ids=ids).logits, logits) < 1e-5
