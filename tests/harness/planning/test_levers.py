"""The sweep key `levers`: what it expands to, and what is refused before a sweep starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers
from transformers import GPT2Config, GPT2LMHeadModel

from harness.core.cell import Cell
from harness.core.columns import row
from harness.core.errors import BadInput
from harness.core.levers import Levers
from harness.core.result import CellResult
from harness.planning import levers as planning
from harness.planning.levers import lever_settings
from harness.planning.plan import make_plan
from harness.planning.sweep import as_file, load_sweep

SWEEP = "name: x\nbackbone: minilm\nmethods: [lora: {density: 1}]\ncontrols: []\n"
PROBES = SWEEP + "probe: {lengths: [16], batch_size: 4}\n"


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A causal language model."""
    config = GPT2Config(vocab_size=60, n_positions=64, n_embd=16, n_layer=2, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "tiny")
    return str(tmp_path / "tiny")


def planned(folder: Path, text: str) -> list[Cell]:
    file = folder / "x.yaml"
    file.write_text(text)
    return make_plan(load_sweep(file), file).cells


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(BadInput) as caught:
        planned(folder, text)
    return "\n".join(caught.value.args)


def test_one_factor_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_try", lambda *_: None)
    cells = planned(
        tmp_path,
        PROBES
        + "levers: [default, {checkpointing: [full, 2]}, {attention: eager, micro_batch: [1, 2]}, "
        "{weights: bfloat16}, {optimizer: adafactor}, {checkpointing: off}]\n",
    )
    assert {cell.arm for cell in cells} == {
        "LoRA 1", "LoRA 1 checkpointing", "LoRA 1 checkpointing 1/2",
        "LoRA 1 micro-batch 1 + eager attention", "LoRA 1 micro-batch 2 + eager attention",
        "LoRA 1 bfloat16 weights", "LoRA 1 Adafactor",
    }  # fmt: skip
    assert len(cells) == 7
    assert {cell.arm_without_levers for cell in cells} == {"LoRA 1"}


def test_a_single_mapping_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_try", lambda *_: None)
    cells = planned(tmp_path, PROBES + "levers: {checkpointing: full}\n")
    assert [cell.levers for cell in cells] == [Levers(checkpointing="full")]


def test_without_levers_nothing_changes(tmp_path: Path) -> None:
    (plain,) = planned(tmp_path, PROBES)
    (default,) = planned(tmp_path, PROBES + "levers: [default, {}]\n")
    assert plain.id == default.id
    fields = plain.model_dump(exclude={"levers"})
    assert Cell.model_validate(fields).id == plain.id  # a file of an earlier version


def test_a_lever_makes_another_cell_with_the_same_rate() -> None:
    fields = {
        "kind": "train", "task": "x", "backbone": "x", "method": "lora", "length": 8, "seed": 0,
        "batch_size": 2, "dtype": "float32", "device": "cpu",
    }  # fmt: skip
    plain = Cell(**fields)
    for levers in ({"checkpointing": 2}, {"micro_batch": 1}, {"packing": True}):
        other = Cell(**fields, levers=Levers(**levers))
        assert other.id != plain.id
        assert other.arm_key == plain.arm_key
    for levers in ({"weights": "4bit"}, {"optimizer": "adafactor"}):
        other = Cell(**fields, levers=Levers(**levers, checkpointing="full"))
        assert other.arm_key == plain.arm_key | {"levers": levers}


def test_the_column(tmp_path: Path) -> None:
    fields = {
        "kind": "probe", "task": None, "backbone": "x", "method": "lora", "length": 8, "seed": 0,
        "batch_size": 2, "dtype": "float32", "device": "cpu",
    }  # fmt: skip
    cell = Cell(**fields, levers=Levers(micro_batch=1, checkpointing="full"))
    read = CellResult.model_validate_json(CellResult.begun(cell, {}).model_dump_json())
    assert read.cell == cell
    assert json.loads(row(read)["levers"]) == {"checkpointing": "full", "micro_batch": 1}
    assert row(CellResult.begun(Cell(**fields), {}))["levers"] is None


def test_the_loss_is_a_lever_of_language_models(tmp_path: Path) -> None:
    text = SWEEP.replace("minilm", "smollm2") + (
        "tasks: [newsgroups_lm]\nlengths: [64]\nlevers: [default, {loss: [full, chunked]}]\n"
        "train: {examples: 8, validation_examples: 2, test_examples: 2}\n"
        "probe: {lengths: [16]}\n"
    )
    cells = [cell for cell in planned(tmp_path, text) if cell.method == "lora"]
    assert sorted((c.kind, c.lm_loss or "", c.arm) for c in cells) == [
        ("probe", "chunked", "LoRA 1"), ("probe", "full", "LoRA 1 full logits"),
        ("train", "chunked", "LoRA 1"), ("train", "full", "LoRA 1 full logits"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("levers", "message"),
    [
        (
            "{checkpointng: full}",
            "levers.1.checkpointng: unknown key. Did you mean 'levers.1.checkpointing'",
        ),
        (
            "{checkpointing: ful}",
            "levers.1.checkpointing.0: expected off, full or a whole number from 2",
        ),
        ("{attention: flsh}", "unknown kernel 'flsh': one of eager, sdpa"),
        ("{attention: efficient}", "levers.attention: efficient needs a GPU (device: cuda): use"),
        ("{micro_batch: 4}", "levers.micro_batch: 4 has no effect: probe.batch_size is 4"),
        ("{offload: true}", "levers.offload: activations are in main memory already on a CPU"),
        ("{weights: 4bit}", "levers.weights: 4bit needs bitsandbytes, which is not installed"),
        ("{optimizer: adamw8bit}", "levers.optimizer: adamw8bit needs bitsandbytes"),
        ("{loss: full}", "levers.loss: only language models have it"),
        ("{packing: true}", "levers.packing: the texts of a probe fill their rows"),
        ("full", "levers.1: expected default, or levers such as {checkpointing: full}"),
    ],
)
def test_refused_in_one_line(
    tmp_path: Path, levers: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_installed", lambda _: False)
    found = refusal(tmp_path, PROBES + f"levers: [default, {levers}]\n")
    assert message in found
    assert len(found.splitlines()) == 1


def test_full_fine_tuning_keeps_its_weights(tmp_path: Path) -> None:
    text = PROBES.replace("lora: {density: 1}", "full") + "levers: {weights: bfloat16}\n"
    assert "levers.weights: bfloat16 is for a frozen backbone" in refusal(tmp_path, text)


def test_packing_needs_language_models(tmp_path: Path) -> None:
    text = SWEEP + "tasks: [newsgroups]\nlengths: [32]\nlevers: {packing: true}\n"
    assert "levers.packing: a classifier reads one text per row" in refusal(tmp_path, text)


def test_a_lever_that_fails_on_this_model(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the sweep, a small model of the same code is trained with the lever."""
    text = PROBES.replace("minilm", tiny)
    assert planned(tmp_path, text + "levers: {attention: math, checkpointing: full}\n")
    monkeypatch.setattr(transformers.GPT2PreTrainedModel, "supports_gradient_checkpointing", False)
    found = refusal(tmp_path, text + "levers: {checkpointing: full}\n")
    assert "levers: checkpointing: does not work on" in found
    assert "GPT2Model has no blocks that can be checkpointed" in found


def test_the_sweep_can_be_written_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(PROBES + "levers: [default, {checkpointing: [full, 2]}]\n")
    sweep = load_sweep(file)
    again = tmp_path / "again.yaml"
    again.write_text(json.dumps(as_file(sweep)))
    assert lever_settings(load_sweep(again)) == lever_settings(sweep)
