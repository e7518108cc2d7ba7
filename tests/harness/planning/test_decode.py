"""`probe.decode`: which sweeps can ask for it, and what it adds to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep

SWEEP = """\
name: use
backbone: {backbone}
methods: [full, lora: {{density: 1}}]
probe: {{lengths: [16, 32], decode: 4}}
"""


def planned(folder: Path, backbone: str = "smollm2", more: str = "") -> list[Cell]:
    file = folder / "use.yaml"
    file.write_text(SWEEP.format(backbone=backbone) + more)
    return make_plan(load_sweep(file), file).cells


def test_probes_that_decode_keep_the_language_model_head(tmp_path: Path) -> None:
    cells = planned(tmp_path)
    assert [(c.method, c.length) for c in cells if c.method == "base"] == [
        ("base", 32), ("base", 16),
    ]  # fmt: skip
    assert len(cells) == 6
    assert all(c.uses_lm_head and c.decode == 4 and c.kind == "probe" for c in cells)


def test_an_encoder_does_not_decode(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"probe\.decode: 'minilm' is not a causal language model"):
        planned(tmp_path, "minilm")


def test_a_classifier_does_not_decode(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"probe\.decode: a task of this sweep has a classifier"):
        planned(tmp_path, "smollm2", "tasks: [newsgroups]\nlengths: [32]\n")


def test_a_backbone_without_a_cache_is_refused(tmp_path: Path) -> None:
    config = OpenAIGPTConfig(vocab_size=40, n_positions=64, n_embd=16, n_layer=1, n_head=2)
    OpenAIGPTLMHeadModel(config).save_pretrained(tmp_path / "old")
    with pytest.raises(BadInput, match=r"probe\.decode: the model returns no KV cache"):
        planned(tmp_path, str(tmp_path / "old"))


def test_the_prompt_and_the_decoded_tokens_need_positions(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=40, n_positions=34, n_embd=16, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "short")
    with pytest.raises(BadInput, match="34 positions, but length 36 was requested"):
        planned(tmp_path, str(tmp_path / "short"))
