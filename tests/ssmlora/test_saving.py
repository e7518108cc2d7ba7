"""Save, load, refuse what does not fit; merging is refused too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from ssmlora import SSMLoraConfig
from tests.ssmlora.tiny import adapted, bert, tokens

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


def test_extra_tensors_are_refused(saved: tuple[Path, torch.Tensor]) -> None:
    folder, _ = saved
    extra = "base_model.model.bert.encoder.layer.3.attention.self.query.ssmlora_A"
    damage(folder, lambda tensors: tensors.update({extra: torch.zeros(4, 16)}))
    with pytest.raises(
        ValueError, match=r"not known: .*layer\.3\.attention\.self\.query\.ssmlora_A"
    ):
        load(folder)


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


def test_pickles_are_refused(saved: tuple[Path, torch.Tensor]) -> None:
    folder, _ = saved
    torch.save(load_file(folder / WEIGHTS), folder / "adapter_model.bin")
    load(folder)  # safetensors are there too, and they are what is read
    (folder / WEIGHTS).unlink()
    with pytest.raises(ValueError, match="only safetensors"):
        load(folder)


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
