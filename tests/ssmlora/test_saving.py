"""Save, load, refuse what does not fit; merging is refused too."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from ssmlora import SSMLoraConfig
from tests.ssmlora.tiny import VOCABULARY, adapted, bert, llama, tokens

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, torch.Tensor]:
    model = adapted(
        bert(),
        density=0.5,
        target_modules=["query", "value"],
        stateless_modules=["attention.output.dense"],
        modules_to_save=["classifier"],
    )
    with torch.no_grad():
        model.base_model.model.classifier.modules_to_save["default"].weight.add_(1.0)
    model.save_pretrained(tmp_path)
    return tmp_path, model(input_ids=tokens()).logits


def load(folder: Path, **options: Any) -> Any:
    return PeftModel.from_pretrained(bert(), str(folder), **options)


def damage(folder: Path, change: Any) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def first(tensors: dict[str, torch.Tensor], kind: str = "ssmlora_C") -> str:
    return next(name for name in tensors if kind in name)


@pytest.mark.parametrize("options", [{}, {"low_cpu_mem_usage": True}, {"is_trainable": True}])
def test_round_trip(saved: tuple[Path, torch.Tensor], options: dict[str, Any]) -> None:
    folder, expected = saved
    names = {path.name for path in folder.iterdir()}
    assert WEIGHTS in names
    assert not {name for name in names if name.endswith(".bin")}
    model = load(folder, **options).double().eval()
    assert torch.equal(model(input_ids=tokens()).logits, expected)
    assert any(p.requires_grad for p in model.parameters()) == bool(options.get("is_trainable"))


def test_round_trip_under_another_name(saved: tuple[Path, torch.Tensor]) -> None:
    folder, expected = saved
    model = load(folder, adapter_name="other").double().eval()
    assert torch.equal(model(input_ids=tokens()).logits, expected)


def test_names_are_the_papers(saved: tuple[Path, torch.Tensor]) -> None:
    kinds = {n.rpartition(".")[2] for n in load_file(saved[0] / WEIGHTS) if "classifier" not in n}
    assert kinds == {f"ssmlora_{matrix}" for matrix in "ABCD"}


def test_missing_tensors_are_refused(saved: tuple[Path, torch.Tensor]) -> None:
    folder, _ = saved
    damage(folder, lambda tensors: tensors.pop(first(tensors)))
    with pytest.raises(ValueError, match=r"missing: .*layer\.0\.attention\.self\.query\.ssmlora_C"):
        load(folder)


@pytest.mark.parametrize(
    "extra",
    [
        "layer.3.attention.self.query.ssmlora_A",  # a layer without adapter
        "layer.0.attention.self.query.ssmlora_E",  # no such matrix
        "layer.0.attention.self.query.lora_A.weight",  # another method's
        "layer.0.attention.self.query.base_layer.weight",  # the base model's own
    ],
)
def test_extra_tensors_are_refused(saved: tuple[Path, torch.Tensor], extra: str) -> None:
    folder, _ = saved
    name = "base_model.model.bert.encoder." + extra
    damage(folder, lambda tensors: tensors.update({name: torch.zeros(4, 16)}))
    with pytest.raises(ValueError, match="not known: " + re.escape(name)):
        load(folder)


@pytest.mark.parametrize("bias", ["all", "ssmlora_only"])
def test_biases_are_saved_and_missed(tmp_path: Path, bias: str) -> None:
    model = adapted(bert(), bias=bias)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("query.base_layer.bias"):
                parameter.add_(1.0)
    model.save_pretrained(tmp_path)
    loaded = load(tmp_path).double().eval()
    assert torch.equal(loaded(input_ids=tokens()).logits, model(input_ids=tokens()).logits)
    damage(tmp_path, lambda tensors: tensors.pop(first(tensors, "query.base_layer.bias")))
    with pytest.raises(ValueError, match=r"missing: .*query\.base_layer\.bias"):
        load(tmp_path)


def test_modules_trained_in_full_are_missed(saved: tuple[Path, torch.Tensor]) -> None:
    folder, _ = saved
    damage(folder, lambda tensors: tensors.pop("base_model.model.classifier.weight"))
    with pytest.raises(KeyError, match=r"base_model\.model\.classifier\.weight"):
        load(folder)


def test_resized_embeddings_come_along(tmp_path: Path) -> None:
    model = adapted(llama())
    model.resize_token_embeddings(VOCABULARY + 2, mean_resizing=False)
    model.save_pretrained(tmp_path, save_embedding_layers=True)
    base = llama()
    base.resize_token_embeddings(VOCABULARY + 2, mean_resizing=False)
    loaded = PeftModel.from_pretrained(base, tmp_path).double().eval()
    assert torch.equal(loaded(input_ids=tokens()).logits, model(input_ids=tokens()).logits)


def test_misshapen_tensors_are_refused(saved: tuple[Path, torch.Tensor]) -> None:
    folder, _ = saved
    damage(folder, lambda tensors: tensors.update({first(tensors): torch.zeros(5, 4)}))
    with pytest.raises(ValueError, match=r"wrong shape: .*ssmlora_C.* is \(5, 4\), not \(4, 4\)"):
        load(folder)
    with pytest.raises(ValueError, match="wrong shape"):
        load(folder, ignore_mismatched_sizes=True)


def test_a_checkpoint_without_adapter_is_refused(saved: tuple[Path, torch.Tensor]) -> None:
    folder, _ = saved
    damage(folder, lambda t: [t.pop(name) for name in list(t) if "ssmlora" in name])
    with pytest.raises(ValueError, match="missing"):
        load(folder)


def test_another_format_is_refused(saved: tuple[Path, torch.Tensor]) -> None:
    path = saved[0] / "adapter_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "checkpoint_format": 2}))
    with pytest.raises(ValueError, match="checkpoint_format"):
        load(saved[0])


def pickled(folder: Path) -> None:
    """Leave the weights as a pickle only."""
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    (folder / WEIGHTS).unlink()


def test_pickles_are_not_read_beside_safetensors(saved: tuple[Path, torch.Tensor]) -> None:
    folder, expected = saved
    (folder / "adapter_model.bin").write_bytes(b"no pickle at all")
    assert torch.equal(load(folder).double().eval()(input_ids=tokens()).logits, expected)


@pytest.mark.parametrize("subfolder", [None, "inner"])
def test_pickles_are_refused(saved: tuple[Path, torch.Tensor], subfolder: str | None) -> None:
    folder, _ = saved
    pickled(folder)
    where = folder
    if subfolder:
        where = folder.parent / "outer"
        shutil.copytree(folder, where / subfolder)
    with pytest.raises(ValueError, match=r"adapter_model\.bin: only safetensors"):
        load(where, subfolder=subfolder)
    # with a configuration that the caller brings along, and into an adapter that is there already
    config = SSMLoraConfig.from_pretrained(where, subfolder=subfolder)
    with pytest.raises(ValueError, match="only safetensors"):
        load(where, subfolder=subfolder, config=config)
    with pytest.raises(ValueError, match="only safetensors"):
        adapted(bert()).load_adapter(where, "default", subfolder=subfolder)
    with pytest.raises(ValueError, match="only safetensors"):
        adapted(bert()).load_adapter(where, "another", subfolder=subfolder)


def test_pickles_from_the_hub_are_refused(
    saved: tuple[Path, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A repository as it lies in the hub's cache."""
    folder, expected = saved
    cache = tmp_path_factory.mktemp("cache")
    repository = cache / "models--someone--adapter"
    snapshot = repository / "snapshots" / ("0" * 40)
    shutil.copytree(folder, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    model = PeftModel.from_pretrained(bert(), "someone/adapter", cache_dir=str(cache))
    assert torch.equal(model.double().eval()(input_ids=tokens()).logits, expected)
    pickled(snapshot)
    with pytest.raises(ValueError, match=r"adapter_model\.bin: only safetensors"):
        PeftModel.from_pretrained(bert(), "someone/adapter", cache_dir=str(cache))


def test_pickles_of_other_methods_are_their_own_affair(tmp_path: Path) -> None:
    lora = get_peft_model(bert(), LoraConfig(target_modules=["query"]))
    lora.save_pretrained(tmp_path)
    pickled(tmp_path)
    PeftModel.from_pretrained(bert(), tmp_path)


def test_merging_is_refused_with_the_reason() -> None:
    model = adapted(bert())
    before = model(input_ids=tokens()).logits
    for merge in (model.merge_adapter, model.merge_and_unload, model.unmerge_adapter):
        with pytest.raises(NotImplementedError, match="min-max of a state"):
            merge()
    assert torch.equal(model(input_ids=tokens()).logits, before)
    layer = model.base_model.model.bert.encoder.layer[0].attention.self.query
    with pytest.raises(NotImplementedError, match="min-max of a state"):
        layer.merge()


def test_unload_gives_the_base_model_back() -> None:
    base = bert()
    expected = base(input_ids=tokens()).logits
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in base.modules())
    peft_model = adapted(base)
    peft_model.add_adapter("second", SSMLoraConfig(r=2))
    model = peft_model.unload()
    assert torch.equal(model(input_ids=tokens()).logits, expected)
    after = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    assert after == hooks
    assert not [name for name, _ in model.named_parameters() if "ssmlora" in name]
