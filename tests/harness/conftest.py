"""Real sweeps, run by the real command in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from harness.cli import sweep_commands
from harness.cli.main import main
from tasks import load_task

ROOT = Path(__file__).parents[2]
SWEEPS = ROOT / "sweeps"


@pytest.fixture(scope="session", autouse=True)
def prepared_newsgroups() -> None:
    """Prepare the examples once: with an empty cache, a command prints one line more."""
    load_task("newsgroups").splits(64, 0)


def bench_long(*words: object, timeout: float = 500) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    call = [sys.executable, "-m", "harness", *map(str, words)]
    return subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=timeout)


def run_here(*words: object) -> int:
    """Run `bench-long run` in this process, its cells too; return the exit code.

    It saves the imports of a new process. Use `bench_long` where processes matter.
    """
    return main(["run", *map(str, words), "--executor", "in-process"])


def results_here(*words: object) -> int:
    """`run_here` without the report and the task cards, which take longer than small cells."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_commands, "write_report", lambda *_, **__: None)
        patch.setattr(sweep_commands, "_cards", lambda *_: None)
        return run_here(*words)


def start_bench_long(*words: object) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a terminal does.

    What runs the tests may ignore Ctrl-C (a shell's background jobs do), and children inherit that.
    Costs are not predicted, so that the children of the fork server are cells.
    """
    call = [sys.executable, "-m", "harness", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        call,
        stdout=pipe,
        stderr=pipe,
        text=True,
        cwd=ROOT,
        env={**os.environ, "BENCH_LONG_NO_COST": "1"},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def cells(folder: Path) -> dict[str, dict[str, Any]]:
    """Every cell file of a run folder by its name."""
    return {p.name: json.loads(p.read_text()) for p in sorted((folder / "cells").glob("*.json"))}


@pytest.fixture(scope="session")
def smoke(shared: Path) -> Path:
    """The folder of one real run of the smoke sweep; the first worker that needs it runs it."""
    folder = shared / "smoke"
    printed = folder / "stdout.txt"
    with FileLock(shared / "smoke.lock"):
        if not printed.exists():
            done = bench_long("run", SWEEPS / "smoke.yaml", "--out", folder)
            assert done.returncode == 0, done.stdout + done.stderr
            printed.write_text(done.stdout)
    return folder


TINY = """\
name: tiny
backbone: minilm
tasks: [newsgroups]
lengths: [32]
methods:
  - lora: {density: 0.5}
controls: []
train: {examples: 16, validation_examples: 8, test_examples: 8, validations: 1, lr: 1.0e-3}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A sweep file with one training cell and its baseline."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal language model of random weights in the hub's format."""
    folder = tmp_path_factory.mktemp("backbones") / "causal"
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests.harness.training.test_batches import TOKENIZER

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=64, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=TOKENIZER.sep_token_id, max_position_embeddings=64,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=0.5)
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder in the hub's format; longer texts make its position table longer."""
    from transformers import BertConfig

    from tests.harness.tiny_backbones import SIZES, save

    config = BertConfig(**SIZES, max_position_embeddings=32, type_vocab_size=2)
    return save(config, tmp_path_factory.mktemp("tiny_encoder"))


@pytest.fixture(scope="session")
def tiny_causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny language model in the hub's format."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    from tests.harness.tiny_backbones import SIZES, save

    config = LlamaConfig(**SIZES, num_key_value_heads=1)
    return save(config, tmp_path_factory.mktemp("tiny_causal"), AutoModelForCausalLM)
