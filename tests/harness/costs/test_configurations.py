"""Backbones that are a configuration alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.costs.configurations import find_configuration, shipped_configurations
from harness.models.load import load_classifier, load_skeleton

PARAMETERS = {
    "llama-2-7b": 6_738_415_616,
    "llama-3.2-1b": 1_235_814_400,
    "qwen2.5-7b": 7_615_616_512,
}
"""As published."""


@pytest.mark.parametrize("name", PARAMETERS)
def test_shipped_shapes_have_the_published_size(name: str) -> None:
    model = load_skeleton(find_configuration(name, "backbone"), 64, lm_head=True)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]
    assert {str(p.dtype) for p in model.parameters()} == {"torch.float32"}


def test_roberta_base() -> None:
    assert "roberta-base" in shipped_configurations()
    model = load_skeleton(find_configuration("roberta-base", "backbone"), 64).encoder
    assert sum(p.numel() for p in model.parameters()) == 124_055_040  # without the pooler


def made(folder: Path, layers: int = 2) -> Path:
    folder.mkdir(exist_ok=True)
    settings = {
        "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": layers,
        "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 64,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def test_a_path_is_relative_to_the_sweep(tmp_path: Path) -> None:
    folder = made(tmp_path / "mine")
    for text in ("mine", "mine/config.json", str(folder)):
        found = find_configuration(text, "backbone", tmp_path)
        assert (found.name, found.folder.resolve()) == ("mine", folder)
    before = find_configuration("mine", "backbone", tmp_path).pin
    made(folder, 3)
    assert find_configuration("mine", "backbone", tmp_path).pin != before


def test_unknown_ones_are_refused() -> None:
    with pytest.raises(BadInput, match="Did you mean 'llama-2-7b'"):
        find_configuration("llama2-7b", "sweep.yaml: backbone.config")


def test_a_model_of_it_has_random_weights(tmp_path: Path) -> None:
    backbone = find_configuration(str(made(tmp_path / "mine")), "backbone")
    model = load_classifier(backbone, 2, 128, 0.0, 0)
    assert model.encoder.get_input_embeddings().weight.std() > 0
