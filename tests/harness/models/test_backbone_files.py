"""Files in a backbone's folder that would make another model of it without a word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModel, LlamaConfig

from harness.cli.main import main
from harness.core.errors import BadInput
from harness.models.backbones import find_backbone
from harness.models.load import load_classifier
from tests.harness.tiny_backbones import SIZES, save

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = LlamaConfig(**SIZES, num_key_value_heads=1)
    return save(config, tmp_path_factory.mktemp("backbones") / "llama")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "llama"))


@pytest.fixture
def hub(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts the model into a hub cache under a name, and returns its snapshot."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    commit = "0123456789abcdef0123456789abcdef01234567"

    def put(name: str) -> Path:
        repo = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        (repo / "refs").mkdir(parents=True)
        (repo / "refs" / "main").write_text(commit)
        return Path(shutil.copytree(made, repo / "snapshots" / commit))

    return put


def add_adapter(folder: Path) -> None:
    """Save an adapter that changes every state into a model's folder, as PEFT does."""
    config = LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(AutoModel.from_pretrained(folder), config).save_pretrained(folder)


def test_an_adapter_in_the_folder_is_refused(folder: Path) -> None:
    before = load_classifier(find_backbone(str(folder)), 2, 16, 0.0, 1)
    add_adapter(folder)
    with pytest.raises(BadInput, match=r"x: backbone: .*/adapter_config\.json: .*merge .* or move"):
        find_backbone(str(folder), "x: backbone")
    (folder / "adapter_config.json").unlink()
    after = load_classifier(find_backbone(str(folder)), 2, 16, 0.0, 1)
    assert list(after.encoder.state_dict()) == list(before.encoder.state_dict())


def test_an_adapter_in_the_hub_cache_is_refused(hub: Callable[[str], Path]) -> None:
    snapshot = hub("someone/tiny")
    add_adapter(snapshot)
    with pytest.raises(BadInput, match=r"adapter_config\.json.*merge"):
        find_backbone("someone/tiny")
    (snapshot / "config.json").unlink()  # an adapter alone, of weights that are elsewhere
    with pytest.raises(BadInput, match=r"adapter_config\.json.*merge"):
        find_backbone("someone/tiny")


def test_a_plan_says_so_in_one_line(
    folder: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_adapter(folder)
    capsys.readouterr()
    assert main(["plan", str(tiny), "--set", f"backbone={folder}"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert str(folder / "adapter_config.json") in line


def split(folder: Path) -> None:
    """Replace the weights by two parts and their index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, some in parts.items():
        save_file({n: tensors[n] for n in some}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {n: f for f, some in parts.items() for n in some}}
    (folder / INDEX).write_text(json.dumps(index))


def test_only_weights_that_are_read_pin_a_backbone(folder: Path) -> None:
    whole = load_classifier(find_backbone(str(folder)), 2, 16, 0.0, 1).encoder.state_dict()
    split(folder)
    before = find_backbone(str(folder))
    parts = load_classifier(before, 2, 16, 0.0, 1).encoder.state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    (folder / "consolidated.safetensors").write_bytes(b"another format of the same weights")
    assert find_backbone(str(folder)) == before
    tensors = load_file(folder / "two.safetensors")
    save_file({n: t + 1 for n, t in tensors.items()}, folder / "two.safetensors", {"format": "pt"})
    assert find_backbone(str(folder)) != before


def test_two_sets_of_weights_are_refused(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    split(folder)
    (folder / "model.safetensors").write_bytes(whole)
    with pytest.raises(BadInput, match=r"both model\.safetensors and the parts of .*index\.json"):
        find_backbone(str(folder))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("../two.safetensors", "'../two.safetensors' is not a file of this folder"),
     ("three.safetensors", r"three\.safetensors is missing"), (3, "expected file names")],
)  # fmt: skip
def test_parts_that_are_elsewhere_are_refused(folder: Path, name: object, expected: str) -> None:
    split(folder)
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["norm.weight"] = name
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(BadInput, match=rf"index\.json: weight_map: {expected}"):
        find_backbone(str(folder))


@pytest.mark.parametrize(
    ("key", "value"),
    [("quantization_config", {"quant_method": "gptq", "bits": 4}),
     ("transformers_weights", "other.safetensors")],
)  # fmt: skip
def test_a_configuration_that_changes_the_weights_is_refused(
    folder: Path, key: str, value: object
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(BadInput, match=rf"{folder}/config\.json: {key}: "):
        find_backbone(str(folder))


def test_weights_in_few_bits_are_refused(
    folder: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = "layers.0.self_attn.q_proj.weight"
    tensors[name] = tensors[name].to(torch.float8_e4m3fn)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert main(["plan", str(tiny), "--set", f"backbone={folder}"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{name} is stored as F8_E4M3" in line


def test_what_a_forward_pass_returns_is_not_the_folders_choice(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    strange = {"return_dict": False, "output_attentions": True, "output_hidden_states": True}
    (folder / "config.json").write_text(json.dumps(config | strange))
    model = load_classifier(find_backbone(str(folder)), 2, 16, 0.0, 1)
    ids = torch.tensor([[5, 6, 7]])
    assert model(ids, torch.ones_like(ids), torch.tensor([0])).logits.shape == (1, 2)
    assert model.config._attn_implementation == "sdpa"


def test_what_is_measured_is_not_the_folders_choice(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    strange = {"gradient_checkpointing": True, "chunk_size_feed_forward": 3, "dtype": "bfloat16"}
    asked = {"_attn_implementation": "eager", "attn_implementation": "flash_attention_2"}
    (folder / "config.json").write_text(json.dumps(config | strange | asked))
    model = load_classifier(find_backbone(str(folder)), 2, 16, 0.0, 1)
    assert not model.encoder.is_gradient_checkpointing
    assert model.config.chunk_size_feed_forward == 0
    assert model.config._attn_implementation == "sdpa"
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_a_value_of_another_kind_is_named(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": "300"}))
    with pytest.raises(ValueError, match=r"^config\.json: .*'vocab_size' expected int, got str"):
        load_classifier(find_backbone(str(folder)), 2, 16, 0.0, 1)


def test_a_home_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    found = find_backbone("~/llama")
    assert (found.name, found.folder) == ("~/llama", folder)
    with pytest.raises(BadInput, match=rf"there is no folder {folder.parent}/lama$"):
        find_backbone("~/lama")


def test_a_hub_name_may_have_no_owner(hub: Callable[[str], Path]) -> None:
    snapshot = hub("bert-base-uncased")
    assert find_backbone("bert-base-uncased").folder == snapshot
    with pytest.raises(BadInput, match=r"not in the local hub cache.*: hf download gpt2$"):
        find_backbone("gpt2")
    with pytest.raises(BadInput, match=r"--revision v2"):
        find_backbone("bert-base-uncased@v2")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("minlm", "Did you mean 'minilm'"), ("models/x", "nor a folder.*hf download models/x"),
     ("./models/x", "there is no folder models/x"), ("a/b/c", "there is no folder a/b/c"),
     ("my model", "not a valid hub repository id")],
)  # fmt: skip
def test_a_name_that_is_not_found_says_what_was_tried(name: str, expected: str) -> None:
    with pytest.raises(BadInput, match=expected) as refusal:
        find_backbone(name)
    assert "\n" not in refusal.value.args[0]
