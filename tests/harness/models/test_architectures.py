"""Which models run as backbones, on which attention, and which are refused before a run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BigBirdConfig,
    BloomConfig,
    CamembertConfig,
    CLIPConfig,
    DebertaConfig,
    DebertaV2Config,
    DistilBertConfig,
    GPT2Config,
    LongformerConfig,
    MambaConfig,
    MPNetConfig,
    MptConfig,
    OPTConfig,
    ReformerConfig,
    RobertaConfig,
    T5Config,
    ViTConfig,
    WhisperConfig,
    XLMRobertaConfig,
)

from harness.core.errors import BadInput
from harness.models.architectures import describe_dropout
from harness.models.backbones import find_backbone
from harness.models.load import load_classifier, load_skeleton
from tests.harness.tiny_backbones import SIZES, byte_level, found, outcomes, plan, save

ROBERTA = {**SIZES, "max_position_embeddings": 34, "type_vocab_size": 1}
TEXTS = ["the sky is blue " * 20, "the sea", "the sky", "is green " * 9]
BEYOND = (
    "lengths: [50]\nmethods: [lora: {}]\ncontrols: []\n"
    "probe: {lengths: [90], steps: 2, seconds: 0}\n"
)
"""Lengths beyond a table of 32 positions, and no multiples of a block or window."""

RUNNING = {
    "roberta": (RobertaConfig(**ROBERTA), "scaled_dot_product"),
    "xlm-roberta": (XLMRobertaConfig(**ROBERTA), "scaled_dot_product"),
    "camembert": (CamembertConfig(**ROBERTA), "scaled_dot_product"),
    "mpnet": (MPNetConfig(**ROBERTA), "eager"),
    "longformer": (LongformerConfig(**ROBERTA, attention_window=[8, 8]), "eager"),
    "big_bird": (
        BigBirdConfig(
            **{**SIZES, "max_position_embeddings": 32}, block_size=4, num_random_blocks=1
        ),
        "eager",
    ),
    "deberta-v2": (
        DebertaV2Config(**ROBERTA, relative_attention=True, pos_att_type=["c2p", "p2c"]), "eager",
    ),
    "bloom": (
        BloomConfig(vocab_size=300, hidden_size=16, n_layer=2, n_head=2, pad_token_id=1), "eager",
    ),
    # Its `attn_config` is a group of settings, not another model.
    "mpt": (MptConfig(vocab_size=300, d_model=16, n_layers=2, n_heads=2, max_seq_len=96), "eager"),
}  # fmt: skip


@pytest.mark.parametrize("kind", RUNNING)
def test_training_and_probes_run(kind: str, tmp_path: Path) -> None:
    config, attention = RUNNING[kind]
    planned = plan(save(config, tmp_path / "model"), tmp_path, "pair", TEXTS, BEYOND)
    seen = list(outcomes(planned))
    assert Counter(result["cell"]["kind"] for result in seen) == {"train": 2, "probe": 1}
    for result in seen:
        assert result["status"] == "ok", (result["title"], result["error"])
        if result["model"]:
            assert result["model"]["attention"].startswith(attention)


def test_positions_are_counted_from_the_models_own_padding(tmp_path: Path) -> None:
    """A tokenizer that pads with another token must not shift RoBERTa's positions."""
    from transformers import AutoModel

    folder = save(RobertaConfig(**ROBERTA), tmp_path)
    inputs = {"input_ids": torch.tensor([[0, 50, 60, 2]]), "attention_mask": torch.ones(1, 4)}
    with torch.no_grad():
        expected = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state
        for pad in (0, 1, 2):
            model = load_classifier(found(folder), 2, 16, 0.0, pad).encoder.eval()
            assert torch.allclose(model(**inputs).last_hidden_state, expected, atol=1e-6)


def test_big_bird_takes_its_own_attention_after_a_short_batch(tmp_path: Path) -> None:
    folder = save(RUNNING["big_bird"][0], tmp_path)
    model = load_classifier(found(folder), 2, 64, 0.0, 1).eval()

    def logits(width: int) -> torch.Tensor:
        ids = (torch.arange(width) * 7 % 200 + 10)[None]
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        with torch.no_grad():
            return model(**batch, labels=torch.tensor([0])).logits  # type: ignore[no-any-return]

    first = logits(64)
    assert model.encoder.attention_type == "block_sparse"
    logits(8)
    assert model.encoder.attention_type == "original_full"
    assert torch.equal(logits(64), first)


def test_longformers_first_token_reads_the_whole_text(tmp_path: Path) -> None:
    folder = save(RUNNING["longformer"][0], tmp_path)
    model = load_classifier(found(folder), 2, 64, 0.0, 1).eval()
    states = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))
    ids = torch.full((2, 64), 40)
    ids[1, -2] = 90  # far outside of the first token's window
    firsts = []
    model.encoder.register_forward_hook(lambda *a: firsts.append(a[2].last_hidden_state[:, 0]))
    with torch.no_grad():
        model(ids, torch.ones_like(ids), torch.tensor([0, 1]))
    assert not torch.allclose(firsts[0][0], firsts[0][1], atol=1e-6)


REFUSED: dict[str, tuple[Any, str]] = {
    "bart": (
        BartConfig(
            vocab_size=300, d_model=16, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
            decoder_ffn_dim=16,
        ),
        "'bart' is an encoder-decoder",
    ),
    "t5": (
        T5Config(vocab_size=300, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2),
        "'t5' is an encoder-decoder",
    ),
    "whisper": (
        WhisperConfig(
            vocab_size=300, d_model=16, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
            decoder_ffn_dim=16, pad_token_id=1, bos_token_id=0, eos_token_id=2,
            decoder_start_token_id=0,
        ),
        "'whisper' is an encoder-decoder",
    ),
    "vit": (
        ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            image_size=32, patch_size=16,
        ),
        "'vit' reads pixel_values",
    ),
    "clip": (
        CLIPConfig(
            text_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
            vision_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
        ),
        "'clip' is made of several models (text_config, vision_config)",
    ),
    "mamba": (
        MambaConfig(vocab_size=300, hidden_size=16, num_hidden_layers=1, state_size=4),
        "no query and value projections were recognised in mamba",
    ),
    "reformer": (
        ReformerConfig(
            vocab_size=300, hidden_size=16, axial_pos_embds_dim=(8, 8), attention_head_size=8,
            num_attention_heads=2, feed_forward_size=16, attn_layers=["local"],
        ),
        "ReformerModel cannot be trained on texts of 13 tokens",
    ),
    "gpt2": (
        GPT2Config(vocab_size=300, n_embd=16, n_layer=1, n_head=2, n_positions=47),
        "gpt2 has 47 positions, but length 48 was requested",
    ),
    "opt": (  # its table has two rows more than positions
        OPTConfig(
            vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            ffn_dim=16, max_position_embeddings=47, word_embed_proj_dim=16,
        ),
        "opt has 47 positions, but length 48 was requested",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_others_are_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    config, reason = REFUSED[kind]
    folder = save(config, tmp_path / "model")
    with pytest.raises(BadInput) as refusal:
        plan(folder, tmp_path, "classification", TEXTS)
    (line,) = refusal.value.args
    assert reason in line
    assert str(folder) in line
    assert "\n" not in line
    assert "attn_implementation" not in line


def test_an_architecture_that_fails_in_bfloat16_runs_in_float32(tmp_path: Path) -> None:
    config = DebertaConfig(**ROBERTA, relative_attention=True, pos_att_type=["c2p", "p2c"])
    folder = save(config, tmp_path / "model")
    half = "lengths: [16]\nmethods: [full]\ndevice: cpu\n"
    planned = plan(folder, tmp_path, "classification", TEXTS, half)
    assert {result["status"] for result in outcomes(planned)} == {"ok"}
    with pytest.raises(BadInput, match=r"DebertaModel cannot be .*bfloat16.*: set dtype: float32"):
        plan(folder, tmp_path, "classification", TEXTS, half, dtype="bfloat16")


def test_no_arm_keeps_a_dropout_of_its_folder(tmp_path: Path) -> None:
    config = DistilBertConfig(
        vocab_size=300, dim=16, n_layers=1, n_heads=2, hidden_dim=16, dropout=0.3,
        attention_dropout=0.4, pad_token_id=1,
    )  # fmt: skip
    folder = save(config, tmp_path)
    for given in (0.0, 0.2):
        model = load_classifier(found(folder), 2, 16, given, 1)
        assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} <= {given, 0.0}
        assert model.config.dropout == given
        assert describe_dropout(model.config) == f"attention 0, hidden {given:g}"


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    byte_level(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    says = {
        '{"model_type": "own", "auto_map": {"AutoModel": "o.O"}}': "'own' is unknown.*never run",
        '{"hidden_size": 3}': "model_type is missing",
    }
    for text, expected in says.items():
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=expected):
            load_skeleton(find_backbone(str(tmp_path)), 16)


def test_weights_of_another_depth_are_refused(tmp_path: Path) -> None:
    for kind, prefix in ((None, ""), (AutoModelForCausalLM, "transformer.")):
        folder = tmp_path / (prefix or "base")
        config = GPT2Config(vocab_size=300, n_embd=16, n_layer=2, n_head=2, n_positions=48)
        save(config, folder, *([kind] if kind else []))
        text = (folder / "config.json").read_text().replace('"n_layer": 2', '"n_layer": 1')
        (folder / "config.json").write_text(text)
        with pytest.raises(ValueError, match=rf"does not have, such as {prefix}h\.1\."):
            load_classifier(found(folder), 2, 16, 0.0, 1)
        text = text.replace('"n_layer": 1', '"n_layer": 2').replace(": 300", ": 200")
        (folder / "config.json").write_text(text)
        with pytest.raises(ValueError, match=r"wte\.weight of shape \(300, 16\), .*\(200, 16\)"):
            load_classifier(found(folder), 2, 16, 0.0, 1)
